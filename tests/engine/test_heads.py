"""Every head as a graph."""

from __future__ import annotations

import pytest
import torch
from laws import assert_close
from tiny import awaken

from latent_tts.engine.graphs import head_graph
from latent_tts.engine.parts import GraphHead
from latent_tts.engine.threads import start
from latent_tts.frames import Sampling
from latent_tts.lm.heads import HEADS, build_head

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("guidance", [1, 1.5])
@pytest.mark.parametrize("kind", HEADS)
def test_a_graph_is_its_head(kind, guidance):
    head, null = awaken(build_head(kind, 8, 32, 32, 2, 4)), torch.randn(32)
    sampling = Sampling(steps=3, guidance=guidance)
    session = start(head_graph(head, null, head.noise_dim, sampling), threads=1)
    cond, noise = torch.randn(4, 32), torch.randn(4, head.noise_dim)
    graph = GraphHead(lambda _: session, lambda: head, head.noise_dim)
    with torch.inference_mode():
        assert_close(graph.sample(cond, null, sampling, noise), head.sample(cond, null, sampling, noise))
