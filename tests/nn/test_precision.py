"""Arithmetic by what the processor has."""

from __future__ import annotations

import pytest
import torch

from latent_tts.nn.precision import multiplies_bf16
from latent_tts.train.fit import Fit, precision_of


@pytest.fixture(params=[False, True])
def processor(request, monkeypatch) -> bool:
    """A CPU without instructions for bf16, and one with them."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: request.param)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    return request.param


def test_a_cpu_multiplies_what_it_has_instructions_for(processor):
    assert multiplies_bf16("cpu") == processor
    assert multiplies_bf16("cuda")


def test_training_takes_bf16_where_it_is_fast_unless_told_otherwise(processor):
    assert precision_of(Fit(accelerator="cpu")) == ("bf16-mixed" if processor else "32-true")
    assert precision_of(Fit(accelerator="cpu", precision="bf16-mixed")) == "bf16-mixed"
