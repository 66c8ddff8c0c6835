"""Steps that a GPU replays are the steps that it would have made."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import LATENT_DIM, sound

from latent_tts.codec.bottleneck import SigmaVAEConfig
from latent_tts.codec.residual_vq import RVQConfig
from latent_tts.codec.sizes import CodecConfig
from latent_tts.errors import UserError

pytest.importorskip("lightning")

from latent_tts.train.codec_task import CodecTask, CodecTraining  # noqa: E402
from latent_tts.train.fit import Fit, fit  # noqa: E402

SMALL = {"encoder_dim": 8, "frame_dim": 8, "decoder_dim": 8, "n_mels": 20, "encoder_blocks": 1, "decoder_blocks": 1}
CODEC = SigmaVAEConfig(latent_dim=LATENT_DIM, **SMALL)
STEPS = 8
BATCHES = [sound(2, 12800, seed=i)[:, None] for i in range(STEPS)]


def trained(folder: Path, codec: CodecConfig, recorded: bool, accelerator: str, **more) -> CodecTask:
    """Discriminators join at step 3 and the encoder freezes at step 6."""
    sizes = {"adversarial_from": 3, "encoder_until": 6, "discriminator_channels": 2, "warmup": 1, **more}
    torch.manual_seed(0)
    task = CodecTask(codec, CodecTraining(STEPS, recorded=recorded, **sizes))
    fit(task, BATCHES, BATCHES[:1], folder, Fit(accelerator=accelerator, precision="32-true", progress=False))
    return task


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs want a GPU")
def test_recorded_steps_are_the_steps(tmp_path):
    straight, recorded = (trained(tmp_path / str(way), CODEC, way, "gpu") for way in (False, True))
    assert recorded.recording and not straight.recording
    torch.manual_seed(0)
    fresh = CodecTask(CODEC, straight.training_config).state_dict()
    for name, value in straight.state_dict().items():
        if value.is_floating_point() and not torch.equal(value.cpu(), fresh[name]):
            moved = (value.cpu() - fresh[name]).norm()
            assert (recorded.state_dict()[name] - value).norm() < 0.02 * moved + 1e-6, name


def test_without_a_gpu_nothing_is_recorded(tmp_path):
    straight, recorded = (trained(tmp_path / str(way), CODEC, way, "cpu") for way in (False, True))
    assert recorded.recording is None
    for name, value in straight.state_dict().items():
        assert torch.equal(recorded.state_dict()[name], value), name


@pytest.mark.parametrize(
    "codec, more",
    [
        (RVQConfig(latent_dim=LATENT_DIM, **SMALL), {}),
        (CODEC, {"discriminators_asked": 3}),
        (CODEC, {"intelligibility_weight": 1.0}),
    ],
)
def test_steps_that_differ_cannot_be_recorded(tmp_path, codec, more):
    with pytest.raises(UserError, match="cannot be recorded; leave recorded at false"):
        trained(tmp_path, codec, True, "cpu", **more)
