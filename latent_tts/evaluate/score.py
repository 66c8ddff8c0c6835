"""Scores of a folder of synthesised speech, and of a codec's reconstructions."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from tqdm import tqdm

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.evaluate import quality, similarity, wer
from latent_tts.evaluate.report import figure
from latent_tts.evaluate.trials import Trial

DNSMOS = ("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808")


def score_speech(
    trials: Sequence[Trial], wav_dir: str | Path, whisper_dir: str | Path | None = None, threads: int = 1
) -> dict:
    """Scores ``wav_dir/<trial id>.wav`` for every trial: intelligibility, similarity to the reference,
    DNSMOS.

    Returns figures ``{"value", "interval"}`` under ``wer``, ``cer``, ``share_over_half`` (these null
    without a recogniser), ``similarity`` and ``dnsmos_ovrl`` (``_sig``, ``_bak``, ``_p808``), with
    ``utterances``, ``seconds``, the names of ``recogniser`` and ``extractor``, and ``each``: the same per
    utterance. Raises UserError if a file is missing.
    """
    wavs = {trial.id: Path(wav_dir) / f"{trial.id}.wav" for trial in trials}
    _require(wavs)
    recogniser = wer.load_recogniser(whisper_dir, threads) if whisper_dir else None
    encoder = similarity.load_encoder()

    @cache
    def voice(path: Path) -> np.ndarray:
        return similarity.embed(encoder, *audio.read(path))

    readings, each = [], []
    for trial in tqdm(trials, desc="score", unit="utt", disable=not sys.stderr.isatty()):
        wav, sample_rate = audio.read(wavs[trial.id])
        row = {
            "id": trial.id,
            "speaker": trial.speaker,
            "seconds": len(wav) / sample_rate,
            "text": trial.text,
        }
        if recogniser:
            readings.append(_read(recogniser, wavs[trial.id], trial.text))
            row |= _reading_row(readings[-1])
        row["similarity"] = similarity.cosine(
            similarity.embed(encoder, wav, sample_rate), voice(trial.reference)
        )
        each.append(row | _dnsmos_row(wav, sample_rate))
    return _score(each, readings, ("similarity", *DNSMOS), whisper_dir)


def score_codec(
    originals: Mapping[str, Path],
    reconstructions: Mapping[str, Path],
    whisper_dir: str | Path | None = None,
    texts: Mapping[str, str] | None = None,
    threads: int = 1,
) -> dict:
    """Scores a codec: utt -> original file against utt -> reconstructed file, sample-aligned.

    Returns figures under ``stoi``, ``pesq_wb`` (null without the pesq package), ``similarity``,
    ``dnsmos_*`` of the reconstructions, ``original_dnsmos_ovrl``, and, with a recogniser and ``texts``,
    ``wer``, ``cer``, ``share_over_half``.
    """
    _require(originals)
    _require({utt: reconstructions.get(utt, Path(f"{utt} (not given)")) for utt in originals})
    recogniser = wer.load_recogniser(whisper_dir, threads) if whisper_dir and texts else None
    encoder = similarity.load_encoder()
    readings, each = [], []
    for utt in tqdm(sorted(originals), desc="score", unit="utt", disable=not sys.stderr.isatty()):
        made, sample_rate = audio.read(reconstructions[utt])
        original, _ = audio.read(originals[utt], sample_rate)
        row = {"id": utt, **_pair_row(encoder, original, made, sample_rate)}
        if recogniser:
            readings.append(_read(recogniser, reconstructions[utt], texts[utt]))
            row |= _reading_row(readings[-1])
        each.append(row)
    names = ("stoi", "pesq_wb", "similarity", *DNSMOS, "original_dnsmos_ovrl")
    return _score(each, readings, names, whisper_dir if recogniser else None)


def _pair_row(encoder, original: np.ndarray, made: np.ndarray, sample_rate: int) -> dict[str, float | None]:
    return {
        "seconds": len(original) / sample_rate,
        "stoi": quality.stoi(original, made, sample_rate),
        "pesq_wb": quality.pesq_wb(original, made, sample_rate),
        "similarity": similarity.cosine(
            *(similarity.embed(encoder, wav, sample_rate) for wav in (original, made))
        ),
        **_dnsmos_row(made, sample_rate),
        "original_dnsmos_ovrl": quality.dnsmos(original, sample_rate)["ovrl"],
    }


def _score(
    each: list[dict], readings: list[wer.Reading], names: Sequence[str], whisper_dir: str | Path | None
) -> dict:
    """The figures over all rows, and the rows."""
    return {
        "utterances": len(each),
        "seconds": sum(row["seconds"] for row in each),
        "recogniser": Path(whisper_dir).resolve().name if whisper_dir else None,
        "extractor": similarity.EXTRACTOR,
        **_error_figures(readings),
        **{name: _mean(each, name) for name in names},
        "each": each,
    }


def _require(wavs: Mapping[str, Path]) -> None:
    missing = [str(path) for path in wavs.values() if not Path(path).is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(wavs)} sound files are missing, {missing[0]} among them; synthesise them"
        )


def _read(recogniser, path: Path, text: str) -> wer.Reading:
    wav, _ = audio.read(path, wer.RECOGNISER_RATE)
    return wer.compare(text, wer.transcribe(recogniser, wav))


def _reading_row(reading: wer.Reading) -> dict[str, str | float]:
    return {"heard": reading.hypothesis, "wer": reading.wer, "cer": reading.cer}


def _dnsmos_row(wav: np.ndarray, sample_rate: int) -> dict[str, float]:
    return {f"dnsmos_{name}": value for name, value in quality.dnsmos(wav, sample_rate).items()}


def _error_figures(readings: Sequence[wer.Reading]) -> dict[str, dict | None]:
    if not readings:
        return {"wer": None, "cer": None, "share_over_half": None}
    return {
        "wer": figure([r.word_errors for r in readings], [r.words for r in readings]),
        "cer": figure([r.char_errors for r in readings], [r.chars for r in readings]),
        "share_over_half": figure([float(r.wer > 0.5) for r in readings]),
    }


def _mean(each: Sequence[Mapping], name: str) -> dict | None:
    values = [row[name] for row in each if row[name] is not None]
    return figure(values) if values else None
