"""Every loss of a codec's training counts by its weight, and one without a weight is not asked."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from tiny import sound, tiny_codec

from latent_tts.errors import UserError

pytest.importorskip("lightning")

from latent_tts.train import codec_task  # noqa: E402
from latent_tts.train.codec_task import CodecTask, CodecTraining  # noqa: E402

LOSSES = ("mel", "stft", "loudness", "intelligibility")


def terms(monkeypatch, **weights: float) -> dict[str, float]:
    """What a step without discriminators says of a sound and another."""
    given = {f"{name}_weight": weights.get(name, 0.0) for name in LOSSES}
    task = CodecTask(tiny_codec().config, CodecTraining(discriminator_channels=2, **given))
    monkeypatch.setattr(codec_task, "slope", lambda task, loss: None)
    task.made = sound(2, 12800, seed=1)[:, None], torch.tensor(0.5), {}
    return {name: float(value) for name, value in task._reconstruct(sound(2, 12800)[:, None], False).items()}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_counts_by_its_weight(name, monkeypatch):
    found = terms(monkeypatch, **{name: 3.0})
    assert found[name] > 0 and found["total"] == pytest.approx(0.5 + 3 * found[name])


def test_without_weights_only_the_penalty_counts(monkeypatch):
    found = terms(monkeypatch)
    assert found["total"] == 0.5 and not {"loudness", "intelligibility"} & found.keys()


def test_crops_that_hold_no_segment_are_refused():
    """Of those that are used: without discriminators none is as short as theirs."""
    sizes = {"steps": 10, "crop_seconds": 1.28, "adversarial_crop_seconds": 0.4, "intelligibility_weight": 1.0}
    for begins, refused in ((0, True), (5, True), (10, False)):
        task = CodecTask(tiny_codec().config, CodecTraining(adversarial_from=begins, discriminator_channels=2, **sizes))
        said = pytest.raises(UserError, match="crops of 0.4 s: an intelligibility_weight wants")
        with said if refused else nullcontext():
            task.on_fit_start()
