"""The RVQ twin's bottleneck: its frames are codes, the encoder learns through it, its codebooks follow the encoder."""

from __future__ import annotations

import sys
from itertools import pairwise

import pytest
import torch
from laws import batch_is_rows, streams
from tiny import tiny_codec

from latent_tts.codec.residual_vq import ResidualVQ, RVQConfig, codebook_use
from latent_tts.errors import UserError
from latent_tts.model_dir import load_codec, save_part

DIM, CODEBOOKS, ENTRIES = 4, 3, 16


def latents(seed: int = 0, batch: int = 8, frames: int = 40) -> torch.Tensor:
    """(B, N, D), of unequal spread and away from zero."""
    drawn = torch.randn(batch, frames, DIM, generator=torch.Generator().manual_seed(seed))
    return drawn * torch.linspace(0.5, 2, DIM) + 1


@pytest.fixture
def learning() -> ResidualVQ:
    torch.manual_seed(0)
    return ResidualVQ(DIM, CODEBOOKS, ENTRIES)


@pytest.fixture
def trained(learning: ResidualVQ) -> ResidualVQ:
    for step in range(20):
        learning(latents(step))
    return learning.eval()


def books(module: ResidualVQ) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def test_frames_are_codes(trained):
    frames = trained.to_frames(latents(99))
    assert frames.shape == (8, 40, CODEBOOKS) and frames.dtype == torch.int64
    assert trained.frame_format == (CODEBOOKS, ENTRIES) and str(trained.frame_format) == "3 codes of 16"
    assert frames.min() >= 0 and frames.max() < ENTRIES and all(len(book.unique()) > 4 for book in frames.unbind(2))
    nothing = trained.to_frames(latents()[:, :0])
    assert nothing.shape == (8, 0, CODEBOOKS) and trained.to_latents(nothing).shape == (8, 0, DIM)


def test_every_codebook_brings_latents_nearer(trained):
    """z is the sum of the chosen entries, and each takes from the error of those before."""
    mu, entries = latents(99), trained.quantiser.codebooks
    frames = trained.to_frames(mu)
    chosen = torch.stack([book[codes] for book, codes in zip(entries, frames.unbind(2))])
    assert torch.allclose(trained.to_latents(frames), chosen.sum(dim=0), atol=1e-5)
    errors = [float((mu - mu.mean((0, 1))).square().mean())]
    errors += [float((mu - chosen[: k + 1].sum(dim=0)).square().mean()) for k in range(CODEBOOKS)]
    assert all(after < 0.75 * before for before, after in pairwise(errors)), errors


def test_training_and_inference_agree_on_z(trained):
    mu = latents(99)
    z, penalty, _ = trained(mu)
    assert torch.allclose(z, trained.to_latents(trained.to_frames(mu)), atol=1e-5) and penalty == 0


def test_gradients_pass_straight_through_and_once(learning):
    mu = latents().requires_grad_()
    (learning(mu)[0] * torch.arange(DIM)).sum().backward()
    assert torch.equal(mu.grad, torch.arange(DIM).expand_as(mu).float())


def test_the_penalty_pulls_latents_to_their_entries():
    module, mu = ResidualVQ(DIM, 1, ENTRIES, commitment=0.5), latents().requires_grad_()
    z, penalty, log = module(mu)
    penalty.backward()
    error = (mu - z).detach()
    assert penalty.item() == pytest.approx(0.5 * error.square().mean().item(), rel=1e-4) and penalty > 0.05
    assert log["commitment"].item() == pytest.approx(2 * penalty.item(), rel=1e-4)
    assert torch.allclose(mu.grad, error / error.numel(), atol=1e-7)


def test_codebooks_learn_in_training_alone(learning):
    learning(latents())
    before = books(learning)
    learning(latents(1))
    assert any(not torch.equal(before[k], v) for k, v in learning.state_dict().items())
    before = books(learning)
    learning.to_frames(latents(2))
    learning.eval()(latents(3))
    assert all(torch.equal(before[k], v) for k, v in learning.state_dict().items())


@pytest.mark.parametrize("dead_below, lowest, highest", [(0.05, 0.9, 1.0), (0.0, 0.0, 0.2)])
def test_dead_entries_live_again(dead_below, lowest, highest):
    """The encoder has moved far away: one entry of the first codebook follows, others go there once dead."""
    torch.manual_seed(0)
    module = ResidualVQ(DIM, CODEBOOKS, ENTRIES, decay=0.8, dead_below=dead_below)
    for step in range(60):
        log = module(latents(step) * 0.2 + (50 if step > 9 else 0))[2]
    assert lowest <= log["use_1"] <= highest


def test_half_precision_around_changes_no_code(trained):
    """A bf16 training or encoding leaves distances in full precision."""
    mu = latents(99)
    with torch.autocast("cpu", torch.bfloat16):
        frames, z = trained.to_frames(mu), trained(mu)[0]
    assert torch.equal(frames, trained.to_frames(mu)) and torch.equal(z, trained(mu)[0])


class TestUse:
    def test_of_known_codes(self):
        alike, one = torch.arange(100) % 4, torch.zeros(100, dtype=torch.int64)
        use = codebook_use(torch.stack([alike, one, alike % 2], dim=1), 8)
        assert {k: round(float(v), 4) for k, v in use.items()} == {
            **{"use_1": 0.5, "use_2": 0.125, "use_3": 0.25},
            **{"perplexity_1": 4.0, "perplexity_2": 1.0, "perplexity_3": 2.0},
        }

    def test_training_logs_it_for_every_codebook(self, learning):
        """Over the last 16 frames an entry, whatever came before."""
        log = learning(latents())[2]
        names = {f"{name}_{k}" for name in ("use", "perplexity") for k in range(1, CODEBOOKS + 1)}
        assert log.keys() == names | {"commitment", "mu_rms"}
        assert all(v.ndim == 0 and v.isfinite() and not v.requires_grad for v in log.values())
        learning.eval()
        for _ in range(3):
            log = learning(latents()[:1, :1].expand(2, 80, DIM))[2]
        assert log["use_1"] == pytest.approx(1 / ENTRIES) and log["perplexity_1"] == pytest.approx(1)
        assert learning.recent.shape == (16 * ENTRIES, CODEBOOKS)

    def test_measuring_takes_any_number_of_latents(self, trained):
        mu = latents(99, 1, 5000)[0]
        use, frames = trained.measure(mu), trained.to_frames(mu[None])[0]
        assert use == codebook_use(frames, ENTRIES) and use["use_1"] == 1


def test_streams(trained):
    streams(lambda mu, state: trained.to_frames(mu), latents(99), 7)
    streams(lambda mu, state: trained.to_latents(trained.to_frames(mu)), latents(99), 7)


def test_batch_is_rows(trained):
    pad = torch.nn.utils.rnn.pad_sequence

    def through(rows: list[torch.Tensor]) -> list[torch.Tensor]:
        frames = trained.to_frames(pad(rows, batch_first=True))
        return [frame[: len(row)] for frame, row in zip(frames, rows)]

    batch_is_rows(through, [latents(count, 1, count)[0] for count in (5, 20, 9)])


def test_a_saved_codec_keeps_its_codes(tmp_path):
    """Codebooks are saved as halves: the same codes still stand for the same latents, within half precision."""
    codec = tiny_codec(kind="rvq")
    save_part(tmp_path, "codec", codec)
    loaded, frames = load_codec(tmp_path), torch.randint(32, (2, 9, 3))
    assert isinstance(loaded.config, RVQConfig) and loaded.frame_format == codec.frame_format
    want, have = codec.bottleneck.to_latents(frames), loaded.bottleneck.to_latents(frames)
    assert torch.allclose(have, want, atol=2e-3) and want.std() > 0.05
    assert torch.equal(loaded.bottleneck.to_frames(have)[..., 0], codec.bottleneck.to_frames(want)[..., 0])


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "vector_quantize_pytorch", None)
    with pytest.raises(UserError, match="latent-tts\\[train\\]") as refused:
        RVQConfig().bottleneck()
    assert "\n" not in str(refused.value)
