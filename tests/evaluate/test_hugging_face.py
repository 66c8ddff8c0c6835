"""Instruments of Hugging Face folders, on tiny models with random weights that their own library saves."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.evaluate import hugging_face, similarity, wer
from latent_tts.evaluate.hugging_face import XVectorEncoder
from latent_tts.evaluate.score import score_speech
from latent_tts.evaluate.trials import Trial

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def wavlm(tmp_path_factory):
    """A WavLMForXVector folder."""
    folder = tmp_path_factory.mktemp("models") / "tiny-wavlm-sv"
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    layers = {"conv_dim": (8, 8), "conv_kernel": (10, 8), "conv_stride": (16, 20), "tdnn_dim": (16, 16, 16, 16, 32)}
    torch.manual_seed(0)
    config = transformers.WavLMConfig(**sizes, **layers, num_conv_pos_embeddings=4, xvector_output_dim=12)
    transformers.WavLMForXVector(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    """A Whisper folder whose decoder says letters at random."""
    folder = tmp_path_factory.mktemp("models") / "tiny-whisper"
    marks = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|nospeech|>", "<|notimestamps|>"]
    times = [f"<|{0.02 * step:.2f}|>" for step in range(1501)]
    vocab = {symbol: i for i, symbol in enumerate([*"abcdefghijklmnopqrstuvwxyz", "Ġ"])}
    tokenizer = transformers.WhisperTokenizer(vocab=vocab, merges=[], unk_token="<|endoftext|>")
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    tokenizer.add_tokens(times)
    ids = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in marks}
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    sizes = {f"{part}_{what}": 1 for part in ("encoder", "decoder") for what in ("layers", "attention_heads")}
    sizes |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "d_model": 16, "num_mel_bins": 80}
    ends = {"pad_token_id": end, "bos_token_id": end, "eos_token_id": end, "decoder_start_token_id": start}
    torch.manual_seed(0)
    config = transformers.WhisperConfig(vocab_size=len(tokenizer), **sizes, **ends, max_target_positions=32)
    model = transformers.WhisperForConditionalGeneration(config)
    told = {"is_multilingual": True, "lang_to_id": {"<|en|>": ids["<|en|>"]}, "max_length": 16, **ends}
    told |= {"task_to_id": {"transcribe": ids["<|transcribe|>"]}, "no_timestamps_token_id": ids["<|notimestamps|>"]}
    model.generation_config = transformers.GenerationConfig(**told)
    model.save_pretrained(folder)
    transformers.WhisperProcessor(transformers.WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)


def test_voices_by_the_users_model(wavlm, noise):
    encoder = XVectorEncoder(wavlm)
    voice = encoder.embed(noise, 16000)
    assert voice.shape == (12,) and np.isfinite(voice).all()
    at_24k = encoder.embed(audio.resample(noise, 16000, 24000), 24000)
    assert similarity.cosine(voice, at_24k) > 0.99
    assert not encoder.embed(noise[:100], 16000).any() and not encoder.embed(0 * noise, 16000).any()


def test_its_figures_stand_beside_resemblyzers_and_are_named(tmp_path, wavlm, noise):
    for package in ("resemblyzer", "speechmos"):
        pytest.importorskip(package)
    for name in ("reference", "a"):
        audio.write(tmp_path / f"{name}.wav", noise, 16000)
    score = score_speech([Trial("a", "said", tmp_path / "reference.wav", "s")], tmp_path, similarity_model=wavlm)
    assert score["similarity_xvector"]["value"] == pytest.approx(1, abs=1e-4)
    assert score["xvector_extractor"] == "WavLMForXVector tiny-wavlm-sv" and score["extractor"] == similarity.EXTRACTOR


def test_a_whisper_hears_short_and_long(whisper, noise):
    recogniser = wer.load_recogniser(whisper)
    heard = wer.transcribe(recogniser, noise)
    assert isinstance(heard, str) and heard == wer.transcribe(recogniser, noise) and "<|" not in heard
    assert "<|" not in wer.transcribe(recogniser, np.tile(noise, math.ceil(31 * 16000 / len(noise))))
    assert torch.get_num_threads() >= 1


def test_what_is_no_model_is_one_line(tmp_path, whisper, wavlm, monkeypatch):
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    for attempt, message in (
        (lambda: XVectorEncoder(tmp_path), "holds no model.safetensors"),
        (lambda: XVectorEncoder(whisper), "no WavLMForXVector"),
        (lambda: wer.load_recogniser(tmp_path), "tools/get_whisper.sh"),
        (lambda: wer.load_recogniser(wavlm), "no Whisper.* can be loaded"),
    ):
        with pytest.raises(UserError, match=message) as refused:
            attempt()
        assert "\n" not in str(refused.value)


def test_a_name_that_cannot_be_reached_is_one_line(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="owner/no-such-whisper is no folder here, .* cannot be reached") as refused:
        wer.require_recogniser("owner/no-such-whisper")
    assert "\n" not in str(refused.value)


def test_without_transformers_is_one_line(whisper, wavlm, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    for need in (lambda: wer.require_recogniser(whisper), lambda: hugging_face.require_folder(wavlm, "a model")):
        with pytest.raises(UserError, match="needs transformers: pip install"):
            need()
