"""Scores of a folder of synthesised speech, and of what codecs make of recordings."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from tqdm import tqdm

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.evaluate import quality, similarity, speed, wer
from latent_tts.evaluate.hugging_face import XVectorEncoder, xvector_name
from latent_tts.evaluate.leak import leaked_words
from latent_tts.evaluate.report import BOOTSTRAP, figure
from latent_tts.evaluate.trials import Trial
from latent_tts.speaker import load_encoder

DNSMOS = ("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808")
FAULTS = ("skipped", "repeated", "inserted")
COUNTS = ("words", "word_errors", "chars", "char_errors", *FAULTS)
Sound = tuple[np.ndarray, int]  # a wav (T,) and its rate in Hz
Embed = Callable[[np.ndarray, int], np.ndarray]
RECONSTRUCTION = ("stoi", "pesq_wb", "mel_distance", "similarity", *DNSMOS)


def score_speech(
    trials: Sequence[Trial],
    wav_dir: str | Path,
    whisper_dir: str | Path | None = None,
    threads: int = 1,
    similarity_model: str | Path | None = None,
) -> dict:
    """Scores ``wav_dir/<trial id>.wav`` for every trial: intelligibility, similarity to the reference, DNSMOS, and
    where ``speed.jsonl`` lies beside them also ``real_time`` and ``synthesis``, the seed among it.

    Returns figures ``{"value", "interval"}`` under ``wer``, ``cer``, ``share_over_half``, ``leak`` (the share of
    utterances that begin with words of their reference; all null without a recogniser), ``share_skipped``,
    ``share_repeated`` and ``share_inserted`` (of utterances with such a word; there with a recogniser alone),
    ``similarity``, ``similarity_xvector`` (with ``similarity_model``, a WavLMForXVector folder) and ``dnsmos_ovrl``
    (``_sig``, ``_bak``, ``_p808``), with ``utterances``, ``seconds``, the names of ``recogniser``, ``extractor`` and
    ``xvector_extractor``, ``bootstrap``, and ``each``: the same per utterance, ``leak`` in words. Raises UserError if a
    file or a package is missing.
    """
    each = speech_rows(trials, wav_dir, whisper_dir, threads, similarity_model)
    return figures_of(each, wav_dir, whisper_dir, similarity_model)


def speech_rows(
    trials: Sequence[Trial],
    wav_dir: str | Path,
    whisper_dir: str | Path | None = None,
    threads: int = 1,
    similarity_model: str | Path | None = None,
) -> list[dict]:
    """What ``score_speech`` says of each utterance. A row depends on its own trial alone, so the trials may be shared
    out. Sounds are decoded once, a reference as it comes. UserError if a file or a package is missing.
    """
    require_packages(whisper_dir)
    wavs = {trial.id: Path(wav_dir) / f"{trial.id}.wav" for trial in trials}
    _require(wavs)
    recogniser = wer.load_recogniser(whisper_dir, threads) if whisper_dir else None
    embeds, took = _extractors(similarity_model), speed.read(wav_dir, wavs)
    reference = lru_cache(1)(audio.read)
    voice = cache(lambda key, path: embeds[key](*reference(path)))
    said = cache(lambda path: _heard(recogniser, reference(path)))
    each = []
    for trial in tqdm(trials, desc="score", unit="utt", disable=not sys.stderr.isatty()):
        sound = wav, sample_rate = audio.read(wavs[trial.id], max_seconds=None)
        row = {"id": trial.id, "speaker": trial.speaker, "seconds": len(wav) / sample_rate, "text": trial.text}
        if recogniser:
            row |= _reading_row(wer.compare(trial.text, _heard(recogniser, sound)))
            row["leak"] = leaked_words(trial.text, trial.reference_text or said(trial.reference), row["heard"])
        if trial.id in took:
            row["real_time"] = took[trial.id]["spent"] / took[trial.id]["seconds"]
        for key, embed in embeds.items():
            row[key] = similarity.cosine(embed(wav, sample_rate), voice(key, trial.reference))
        each.append(row | _dnsmos_row(wav, sample_rate))
    return each


def figures_of(
    each: list[dict],
    wav_dir: str | Path,
    whisper_dir: str | Path | None = None,
    similarity_model: str | Path | None = None,
) -> dict:
    """What ``score_speech`` returns, of the rows of all trials in their order."""
    trials, readings = [row["id"] for row in each], _readings(each)
    own = {"xvector_extractor": xvector_name(similarity_model)} if similarity_model else {}
    return {
        **_instruments(whisper_dir),
        **own,
        **speed.figures(speed.read(wav_dir, trials), trials),
        **_shares(readings),
        "leak": figure([float(row["leak"] > 0) for row in readings]) if readings else None,
        **_figures(each, ("similarity", *(["similarity_xvector"] if own else []), *DNSMOS)),
    }


def score_reconstructions(
    originals: Mapping[str, Path],
    systems: Mapping[str, Mapping[str, Path]],
    texts: Mapping[str, str] | None = None,
    whisper_dir: str | Path | None = None,
    threads: int = 1,
) -> dict:
    """Scores several systems against the same recordings: utt -> original file, and for each system utt -> what it
    made of it, sample-aligned. The originals may be one of the systems: that is what no codec can pass.

    ``texts`` says what is said in the originals; the error rates of all systems are against it, over the utterances
    that have one. Returns under ``systems`` a dict per system: figures ``{"value", "interval"}`` under ``wer``, ``cer``
    (null without a recogniser or texts), ``stoi``, ``pesq_wb`` (null without the pesq package), ``mel_distance``,
    ``similarity`` and ``dnsmos_*``, with ``utterances``, ``read`` (those with error rates), ``seconds`` and ``each``.
    All but the error rates are of the first minute. Raises UserError if a file or a package is missing.
    """
    require_packages(whisper_dir)
    for name, made in systems.items():
        _require({utt: made.get(utt, Path(f"{utt} of {name} (not given)")) for utt in originals})
    recogniser = wer.load_recogniser(whisper_dir, threads) if whisper_dir else None
    each = _compared(originals, systems, texts or {}, recogniser)
    figures = {name: _figures(each[name], RECONSTRUCTION) for name in systems}
    return {**_instruments(whisper_dir), "mel_distance": quality.MEL_DISTANCE, "systems": figures}


def require_packages(whisper_dir: str | Path | None = None, *others: str) -> None:
    """UserError, in one line, for what scoring imports and is not installed, ``others`` among it."""
    needed = ["resemblyzer", "librosa", "speechmos", "pystoi", *others]
    if whisper_dir:
        own = ["faster_whisper"] if wer.is_ctranslate2(whisper_dir) else []  # any other says itself what it needs
        needed += [*own, "whisper_normalizer", "jiwer"]
    lacking = [name for name in needed if find_spec(name) is None]
    if lacking:
        raise UserError(
            f"scoring needs {', '.join(lacking)}; `make test` in a checkout installs all, or: "
            f"pip install 'latent-tts[train,eval]' && pip install --no-deps resemblyzer"
        )


def _compared(
    originals: Mapping[str, Path], systems: Mapping[str, Mapping[str, Path]], texts: Mapping[str, str], recogniser
) -> dict[str, list[dict]]:
    """For each system a row for each original, with what a recogniser read of those with a text. A sound is decoded
    once."""
    embed = partial(similarity.embed, load_encoder())
    each: dict[str, list[dict]] = {name: [] for name in systems}
    for utt in tqdm(sorted(originals), desc="score", unit="utt", disable=not sys.stderr.isatty()):
        paths = dict.fromkeys([originals[utt], *(made[utt] for made in systems.values())])
        sounds = {path: audio.read(path, max_seconds=None) for path in paths}
        original, sample_rate = _first_minute(sounds[originals[utt]])
        voice, text = embed(original, sample_rate), texts.get(utt, "")
        for name, made in systems.items():
            wav = audio.resample(*_first_minute(sounds[made[utt]]), sample_rate)
            row = {"id": utt, "seconds": len(wav) / sample_rate}
            if recogniser and wer.standardise(text):
                row |= _reading_row(wer.compare(text, _heard(recogniser, sounds[made[utt]])))
            row |= _pair_row(original, wav, sample_rate)
            row["similarity"] = similarity.cosine(embed(wav, sample_rate), voice)
            each[name].append(row | _dnsmos_row(wav, sample_rate))
    return each


def _first_minute(sound: Sound) -> Sound:
    """What is compared with an original: PESQ breaks down over minutes of sound."""
    wav, sample_rate = sound
    return wav[: int(audio.MAX_SECONDS * sample_rate)], sample_rate


def _pair_row(original: np.ndarray, made: np.ndarray, sample_rate: int) -> dict[str, float | None]:
    """What compares a reconstruction with its original."""
    return {
        "stoi": quality.stoi(original, made, sample_rate),
        "pesq_wb": quality.pesq_wb(original, made, sample_rate),
        "mel_distance": quality.mel_distance(original, made, sample_rate),
    }


def _figures(each: list[dict], names: Sequence[str]) -> dict:
    """The figures over all rows, and the rows."""
    readings = _readings(each)
    return {
        "utterances": len(each),
        "read": len(readings),
        "seconds": sum(row["seconds"] for row in each),
        **_error_figures(readings),
        **{name: _mean(each, name) for name in names},
        "each": each,
    }


def _instruments(whisper_dir: str | Path | None) -> dict[str, object]:
    """What measured: figures of other instruments may not be compared."""
    here = Path(whisper_dir).resolve().name if whisper_dir and Path(whisper_dir).exists() else whisper_dir
    return {
        "recogniser": str(here) if whisper_dir else None,
        "extractor": similarity.EXTRACTOR,
        "bootstrap": BOOTSTRAP,
    }


def _extractors(model: str | Path | None) -> dict[str, Embed]:
    """What turns (wav (T,), sample rate) into an embedding, by the name of its column."""
    embeds: dict[str, Embed] = {"similarity": partial(similarity.embed, load_encoder())}
    return embeds | {"similarity_xvector": XVectorEncoder(model).embed} if model else embeds


def _require(wavs: Mapping[str, Path]) -> None:
    missing = [str(path) for path in wavs.values() if not Path(path).is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(wavs)} sound files are missing, {missing[0]} among them; synthesise them"
        )


def _heard(recogniser, sound: Sound) -> str:
    return wer.transcribe(recogniser, audio.resample(*sound, wer.RECOGNISER_RATE))


def _reading_row(reading: wer.Reading) -> dict[str, str | float]:
    counts = {name: getattr(reading, name) for name in COUNTS}
    return {"heard": reading.hypothesis, "wer": reading.wer, "cer": reading.cer, **counts}


def _readings(each: Sequence[Mapping]) -> list[Mapping]:
    """The rows that a recogniser has read."""
    return [row for row in each if "heard" in row]


def _shares(readings: Sequence[Mapping]) -> dict[str, dict | None]:
    """Of how many utterances something is true."""
    if not readings:
        return {"share_over_half": None}
    faults = {f"share_{name}": figure([float(row[name] > 0) for row in readings]) for name in FAULTS}
    return {"share_over_half": figure([float(row["wer"] > 0.5) for row in readings]), **faults}


def _dnsmos_row(wav: np.ndarray, sample_rate: int) -> dict[str, float]:
    return {f"dnsmos_{name}": value for name, value in quality.dnsmos(wav, sample_rate).items()}


def _error_figures(readings: Sequence[Mapping]) -> dict[str, dict | None]:
    if not readings:
        return {"wer": None, "cer": None}
    return {
        "wer": figure([row["word_errors"] for row in readings], [row["words"] for row in readings]),
        "cer": figure([row["char_errors"] for row in readings], [row["chars"] for row in readings]),
    }


def _mean(each: Sequence[Mapping], name: str) -> dict | None:
    values = [row[name] for row in each if row[name] is not None]
    return figure(values) if values else None
