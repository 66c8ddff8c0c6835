"""The codec obeys the four laws at every rate, and can learn."""

from __future__ import annotations

import pytest
import torch
from laws import batch_is_rows, causal, round_trip, streams
from tiny import LATENT_DIM, sound, tiny_codec

from latent_tts.codec.autoencoder import Codec
from latent_tts.codec.bottleneck import SigmaVAEConfig
from latent_tts.codec.decoders import strides_of
from latent_tts.codec.losses import MultiScaleSpectralLoss
from latent_tts.errors import UserError
from latent_tts.model_dir import load_codec
from latent_tts.nn.state import State

DECODERS = ("spectral", "upsampling")
PARTS = [("spectral", "sigma_vae"), ("upsampling", "sigma_vae"), ("spectral", "rvq")]
ALL_PARTS = pytest.mark.parametrize("decoder, kind", PARTS)
RATES = [(24000, 7.5), (24000, 12.5), (24000, 15), (24000, 25), (16000, 12.5), (16000, 25)]
SEVERAL_RATES = pytest.mark.parametrize("rates", RATES, ids=lambda rates: f"{rates[0]}Hz-{rates[1]}")
FRAMES = 6


@pytest.fixture(params=PARTS, ids="-".join)
def codec(request, rates: tuple[int, float]) -> Codec:
    decoder, kind = request.param
    return tiny_codec(*rates, decoder=decoder, kind=kind)


def encode(codec: Codec, wav: torch.Tensor, state: State | None = None) -> torch.Tensor:
    return codec.encode(wav[:, None], state)


def decode_latents(codec: Codec, latents: torch.Tensor, state: State | None = None) -> torch.Tensor:
    return decode(codec, codec.bottleneck.to_frames(latents), state)


def decode(codec: Codec, frames: torch.Tensor, state: State | None = None) -> torch.Tensor:
    return codec.decode(frames, state)[:, 0]


@SEVERAL_RATES
class TestLaws:
    @pytest.fixture(autouse=True)
    def no_gradients(self):
        with torch.no_grad():
            yield

    def test_shapes(self, codec, rates):
        hop = codec.hop_length
        assert hop * codec.frame_rate == codec.sample_rate == rates[0] and codec.frame_rate == rates[1]
        frames = codec.encode(sound(2, FRAMES * hop + hop - 1)[:, None])
        assert frames.shape == (2, FRAMES, codec.frame_format.width)
        assert codec.decode(frames).shape == (2, 1, FRAMES * hop)

    def test_causal(self, codec):
        causal(lambda latents: decode_latents(codec, latents), torch.randn(2, FRAMES, LATENT_DIM), 3)

    def test_the_encoder_looks_so_far_ahead_and_no_further(self, codec):
        """A frame is settled once ``lookahead`` samples behind it are known, and not a hop earlier."""
        hop, ahead = codec.hop_length, codec.lookahead
        assert ahead == 3 * codec.config.stft_hop

        def settled(wav: torch.Tensor) -> torch.Tensor:
            return encode(codec, wav)[:, : (wav.shape[1] - ahead) // hop]

        causal(settled, sound(2, FRAMES * hop), 3 * hop + ahead)
        wav = sound(2, FRAMES * hop)
        other = wav.clone()
        other[:, 3 * hop + ahead - codec.config.stft_hop :] += 0.1
        assert (codec.encoder(other) - codec.encoder(wav))[:, 2].abs().max() > 1e-4

    @pytest.mark.parametrize("size", [157, 701, 5003])
    def test_the_encoder_streams(self, codec, size):
        """Chunks smaller than a spectral hop, smaller than a frame, and larger than some; none of them divides it. The
        end of a stream is silence as long as the encoder looks ahead."""

        wav = sound(2, FRAMES * codec.hop_length + 300)
        streams(lambda wav, state: encode(codec, wav, state), wav, size, codec.lookahead)

    @pytest.mark.parametrize("size", [1, 2, 5])
    def test_the_decoder_streams(self, codec, size):
        latents = torch.randn(2, FRAMES + 1, LATENT_DIM)
        streams(lambda latents, state: decode_latents(codec, latents, state), latents, size)

    def test_round_trip(self, codec, tmp_path):
        wav = sound(1, FRAMES * codec.hop_length)[:, None]
        round_trip(tmp_path, "codec", codec, load_codec, lambda codec: codec.decode(codec.encode(wav)))

    def test_batch_is_rows(self, codec):
        """Rows of unequal length, filled up with zeros behind their ends."""
        pad = torch.nn.utils.rnn.pad_sequence

        def through(wavs: list[torch.Tensor]) -> list[torch.Tensor]:
            output = decode(codec, encode(codec, pad(wavs, batch_first=True)))
            return [row[: len(wav)] for row, wav in zip(output, wavs)]

        hop = codec.hop_length
        batch_is_rows(through, [sound(1, count * hop, seed=count)[0] for count in (2, 5, 3)])


@pytest.mark.parametrize("frame_rate", [7.5, 15])
def test_rates_that_have_no_whole_frame(frame_rate):
    """A frame of 16000 / 7.5 samples does not exist, whatever the hop."""
    for hop in (100, 160, 256):
        with pytest.raises(UserError, match="frames a second") as refused:
            Codec(SigmaVAEConfig(16000, frame_rate, stft_hop=hop))
        assert "\n" not in str(refused.value)


def test_a_hop_that_divides_no_frame():
    with pytest.raises(UserError, match="stft_hop"):
        _ = SigmaVAEConfig(24000, 12.5, stft_hop=256).hop_length
    assert SigmaVAEConfig(24000, 12.5, stft_hop=240).stack == 8
    with pytest.raises(UserError):
        _ = SigmaVAEConfig(16000, 12.5, stft_hop=2560).stack


@pytest.mark.parametrize("hop, strides", [(160, [5, 4, 4, 2]), (200, [5, 5, 4, 2]), (240, [5, 4, 4, 3]), (7, [7])])
def test_strides_make_up_the_hop(hop, strides):
    assert strides_of(hop) == strides


def test_a_stream_may_bring_nothing():
    """What an encoder's stream gives for a piece of a frame, none, a decoder's stream takes."""
    codec, state = tiny_codec(), State()
    nothing = codec.encode(sound(1, 10)[:, None], state)
    assert nothing.shape == (1, 0, LATENT_DIM)
    assert codec.decode(nothing, State()).shape == codec.decode(nothing).shape == (1, 1, 0)


def test_latent_statistics_travel_with_the_weights():
    """Frames are standardised and ``decode`` undoes it: the same sound comes out whatever the statistics are."""
    codec, wav = tiny_codec(), sound(1, 8000)[:, None]
    frames, output = codec.encode(wav), codec.decode(codec.encode(wav))
    codec.bottleneck.measure(torch.randn(100, LATENT_DIM) * 7 + 3)
    assert not torch.allclose(codec.encode(wav), frames, atol=0.1)
    assert torch.allclose(codec.decode(codec.encode(wav)), output, atol=1e-4)
    assert {"bottleneck.mean", "bottleneck.scale"} <= codec.state_dict().keys()


def test_overfitting_one_batch_lowers_the_loss():
    torch.manual_seed(0)
    sizes = {"encoder_dim": 32, "frame_dim": 64, "decoder_dim": 48, "encoder_blocks": 1, "decoder_blocks": 2}
    codec = Codec(SigmaVAEConfig(latent_dim=16, sigma_std=0.1, **sizes)).train()
    distance = MultiScaleSpectralLoss(16000, windows=(256, 1024), mels=(20, 80))
    time = torch.arange(8 * codec.hop_length) / 16000
    wav = 0.1 * torch.stack([torch.sin(2 * torch.pi * pitch * time) * (time % 0.2 > 0.1) for pitch in (200, 900)])
    optimizer = torch.optim.AdamW(codec.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        output, penalty, _ = codec.reconstruct(wav[:, None])
        terms = distance(output[:, 0], wav)
        loss = terms["mel"] + 3 * terms["stft"] + penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(terms["mel"].item())
    assert losses[-1] < 0.6 * losses[0], (losses[0], losses[-1])


@ALL_PARTS
def test_every_weight_learns(decoder, kind):
    codec = tiny_codec(decoder=decoder, kind=kind)
    output, penalty, _ = codec.reconstruct(sound(2, 4 * codec.hop_length)[:, None])
    (MultiScaleSpectralLoss(16000)(output[:, 0], sound(2, 4 * codec.hop_length, 1))["stft"] + penalty).backward()
    assert not [name for name, p in codec.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
