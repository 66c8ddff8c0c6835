"""The mean of trainings that began alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import tiny_codec, tiny_lm

from latent_tts.model_dir import load_codec, load_lm, save_part


@pytest.fixture
def models(tmp_path) -> list[Path]:
    """Two language models of one size, the first with a codec, and one of another size."""
    folders = [tmp_path / name for name in "abc"]
    for seed, (folder, sizes) in enumerate(zip(folders, ({}, {}, {"layers": 1}))):
        save_part(folder, "lm", tiny_lm(seed, **sizes))
    save_part(folders[0], "codec", tiny_codec())
    return folders


def test_every_weight_is_the_mean_of_theirs(models, stage, tmp_path):
    a, b, _ = models
    assert stage("average_models", "--models", f"{a}=0.25", f"{b}=0.75", "--out", tmp_path / "mean") == 0
    first, second, mean = (load_lm(folder).state_dict() for folder in (a, b, tmp_path / "mean"))
    moved = 0
    for name, value in mean.items():
        torch.testing.assert_close(value, first[name] * 0.25 + second[name] * 0.75, rtol=1e-3, atol=1e-4)
        moved += not torch.equal(value, first[name])
    assert moved > 10
    for name, value in load_codec(tmp_path / "mean").state_dict().items():
        assert torch.equal(value, load_codec(a).state_dict()[name])


def test_codecs_of_one_encoder_have_a_mean(models, stage, tmp_path, capsys):
    a, b, _ = models
    codec = tiny_codec()
    with torch.no_grad():
        for value in codec.decoder.parameters():
            value.mul_(1.5)
    save_part(b, "codec", codec)
    means = ["--part", "codec", "--models", f"{a}=0.5", f"{b}=0.5", "--out"]
    assert stage("average_models", *means, tmp_path / "mean") == 0
    first, mean = (load_codec(folder).state_dict() for folder in (a, tmp_path / "mean"))
    for name, value in mean.items():
        if name in dict(codec.named_parameters()) and name.startswith("decoder."):
            torch.testing.assert_close(value, first[name] * 1.25, rtol=1e-3, atol=1e-3)
        else:
            assert torch.equal(value, first[name])
    assert load_lm(tmp_path / "mean").state_dict().keys() == load_lm(a).state_dict().keys()

    save_part(b, "codec", tiny_codec(seed=1))
    assert stage("average_models", *means, tmp_path / "other") == 2
    assert "make other frames; give codecs of one encoder" in capsys.readouterr().err


def test_codecs_by_themselves_have_a_mean_of_all_they_are(stage, tmp_path):
    """The encoder's, too, and of what the bottleneck measured: no language model knows their frames."""
    a, b = tmp_path / "a", tmp_path / "b"
    for seed, folder in enumerate((a, b)):
        codec = tiny_codec(seed=seed)
        codec.bottleneck.mean.fill_(seed)
        save_part(folder, "codec", codec)
    means = ["--part", "codec", "--models", f"{a}=0.25", f"{b}=0.75", "--out", tmp_path / "mean"]
    assert stage("average_models", *means) == 0
    first, second, mean = (load_codec(folder).state_dict() for folder in (a, b, tmp_path / "mean"))
    for name, value in mean.items():
        torch.testing.assert_close(value, first[name] * 0.25 + second[name] * 0.75, rtol=1e-3, atol=1e-3)
    moved = {name.split(".")[0] for name, value in mean.items() if not torch.equal(value, first[name])}
    assert moved == {"encoder", "decoder", "bottleneck"}


@pytest.mark.parametrize(
    "shares, said",
    [
        (["a=0.5", "b=0.6"], "shares add up to 1.1; make it 1"),
        (["a=half", "b=0.5"], "want DIR=SHARE"),
        (["a", "b=0.5"], "want DIR=SHARE"),
        (["a=0.5", "c=0.5"], "are of two sizes; give trainings of one model"),
    ],
)
def test_what_has_no_mean_is_one_line(models, shares, said, stage, tmp_path, capsys):
    shares = [f"{models[0].parent}/{share}" for share in shares]
    assert stage("average_models", "--models", *shares, "--out", tmp_path / "mean") == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and not (tmp_path / "mean").exists()
