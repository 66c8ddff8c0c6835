"""Losses and discriminators of the codec."""

from __future__ import annotations

import pytest
import torch
from tiny import sound

from latent_tts.codec.discriminators import (
    Discriminators,
    LowBand,
    LowBandConfig,
    MagnitudeDiscriminator,
    PeriodDiscriminator,
    ScoreAlone,
    SpectrumDiscriminator,
)
from latent_tts.codec.losses import (
    MultiScaleSpectralLoss,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)
from latent_tts.errors import UserError


@pytest.fixture(scope="module")
def discriminators() -> Discriminators:
    torch.manual_seed(0)
    periods = [PeriodDiscriminator(period, 4) for period in (2, 3, 5, 7, 11)]
    spectra = [kind(512, 4) for kind in (SpectrumDiscriminator, MagnitudeDiscriminator)]
    return Discriminators([*periods, *spectra, LowBand(SpectrumDiscriminator(128, 4), 4)])


@pytest.mark.parametrize("rate", [16000, 24000])
def test_equal_signals_have_no_distance(rate):
    wav = sound(2, 8000)
    terms = MultiScaleSpectralLoss(rate)(wav, wav)
    assert terms.keys() == {"mel", "stft"} and all(value == 0 for value in terms.values())


def test_only_the_complex_distance_sees_the_phase():
    wav, distance = sound(2, 8000), MultiScaleSpectralLoss(16000)
    mirrored = distance(-wav, wav)
    assert mirrored["mel"] < 1e-4 < 0.02 < mirrored["stft"]
    assert distance(0.9 * wav, wav)["stft"] < 0.1 * mirrored["stft"]


def test_the_mel_distance_is_a_level_in_nepers():
    wav = sound(1, 8000) + 0.05 * torch.randn(1, 8000)
    assert MultiScaleSpectralLoss(16000)(wav * torch.e, wav)["mel"] == pytest.approx(1, abs=0.02)


def test_silence_has_a_gradient():
    wav = torch.zeros(1, 4000, requires_grad=True)
    sum(MultiScaleSpectralLoss(16000)(wav, sound(1, 4000)).values()).backward()
    assert wav.grad.isfinite().all() and wav.grad.abs().sum() > 0


def test_discriminators_give_features_and_scores(discriminators):
    """A length that no period divides; every weight and every stretch of the sound gets a gradient."""
    wav = sound(2, 4801).requires_grad_()
    judgement = discriminators(wav)
    assert len(judgement) == len(discriminators) == 8
    for features in judgement:
        assert len(features) == 5 and all(len(f) == 2 for f in features) and features[-1].shape[1] == 1
    discriminators.zero_grad()
    generator_loss(judgement).backward()
    features = feature_matching_loss(discriminators(sound(2, 4801, seed=1)), discriminators(wav))
    features.backward()
    assert not [name for name, p in discriminators.named_parameters() if p.grad is None or not p.grad.any()]
    assert wav.grad.isfinite().all() and (wav.grad.unfold(1, 200, 200).abs().sum(dim=2) > 0).all()


def test_rows_are_judged_alone(discriminators):
    wav = sound(3, 4000)
    together = [features[-1][1:2] for features in discriminators(wav)]
    alone = [features[-1] for features in discriminators(wav[1:2])]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(together, alone))


def test_hinge_losses():
    """Nothing to gain beyond a margin of one on either side; a judge who cannot tell pays 2."""

    def scores(*values: float) -> list[list[torch.Tensor]]:
        return [[torch.zeros(1, 1), torch.full((1, 1), value)] for value in values]

    assert discriminator_loss(scores(1.0, 3.0), scores(-1.0, -3.0)) == 0
    assert discriminator_loss(scores(0.0), scores(0.0)) == 2
    assert discriminator_loss(scores(-1.0), scores(1.0)) == 4
    assert generator_loss(scores(2.0)) == 0 and generator_loss(scores(0.0, -1.0)) == 1.5


def test_feature_matching_leaves_the_real_ones_alone():
    real = [[torch.full((2, 3), 4.0, requires_grad=True), torch.ones(1)]]
    fake = [[torch.full((2, 3), 5.0, requires_grad=True), torch.zeros(1)]]
    loss = feature_matching_loss(real, fake)
    assert loss.item() == pytest.approx(0.25) and feature_matching_loss(real, real) == 0
    loss.backward()
    assert real[0][0].grad is None and fake[0][0].grad.abs().sum() > 0


def test_scores_alone_have_no_features_to_match():
    judge = Discriminators([ScoreAlone(PeriodDiscriminator(2, 4))])
    judgement = judge(sound(2, 4000))
    assert [len(features) for features in judgement] == [1]
    assert feature_matching_loss(judgement, judge(sound(2, 4000, seed=1))) == 0


@pytest.mark.parametrize(
    "kind, size", [(PeriodDiscriminator, 3), (SpectrumDiscriminator, 256), (MagnitudeDiscriminator, 256)]
)
@pytest.mark.parametrize("level", [1.0, 0.01])
def test_a_judge_can_learn(kind, size, level):
    """A few steps tell noise from tones, soft ones too."""
    torch.manual_seed(0)
    judge = Discriminators([kind(size, 4)])
    optimizer = torch.optim.AdamW(judge.parameters(), lr=3e-3)  # twice that leaps over the soft ones on some machines
    noise, tone = 0.1 * torch.randn(4, 2000), 0.2 * torch.sin(torch.arange(2000) / 5 + torch.arange(4)[:, None])
    losses = []
    for _ in range(40):
        loss = discriminator_loss(judge(level * tone), judge(level * noise))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_low_band_hears_nothing_above_it():
    """A tone of 700 Hz, with and without one of 3 kHz, which the same judge hears in the whole band."""
    torch.manual_seed(0)
    seconds = torch.arange(8000)[None] / 16000
    low, high = (torch.sin(2 * torch.pi * hertz * seconds) for hertz in (700, 3000))
    judge = SpectrumDiscriminator(256, 4)
    (alone, both), (deep, full) = (
        [ear(wav)[0][:, :, 4:-4] for wav in (low, low + high)] for ear in (LowBand(judge, 4), judge)
    )
    assert (alone - both).abs().max() < 0.01 < 0.1 < (deep - full).abs().max()


def test_only_magnitudes_hear_no_phase():
    torch.manual_seed(0)
    wav = sound(2, 4000)
    judges = [MagnitudeDiscriminator(256, 4), SpectrumDiscriminator(256, 4)]
    same = {type(judge): torch.allclose(judge(wav)[-1], judge(-wav)[-1], atol=1e-6) for judge in judges}
    assert same == {MagnitudeDiscriminator: True, SpectrumDiscriminator: False}


def test_a_low_band_is_built_from_its_config():
    judges = LowBandConfig(rate=4000, magnitudes=(128,), windows=(128, 256)).build(24000, channels=4)
    assert [len(judge(sound(1, 6000))) for judge in judges] == [5, 1, 1]
    for rate in (0, 5000, 24000):
        with pytest.raises(UserError, match=f"a rate of {rate} Hz for sound at 24000; give one that divides it"):
            LowBandConfig(rate=rate).build(24000, channels=4)
