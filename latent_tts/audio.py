"""Sound in files and out of them: the only place that touches soundfile.

A ``wav`` here is a float32 numpy array (T,), mono, full scale at 1.0.
"""

from __future__ import annotations

import io
import logging
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from latent_tts.errors import UserError

MAX_SECONDS = 60.0
MIN_SECONDS = 1.0
MIN_SOUND_SECONDS = 0.5
MAX_CHANNELS = 8
RATES = (4_000, 384_000)
MAX_PIPE_BYTES = 256 * 2**20
SILENCE_DBFS = -60.0
SPEECH_DBFS = -23.0
PEAK = 0.89  # -1 dBFS
FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
ENCODER_RATES = {
    ".opus": (8_000, 12_000, 16_000, 24_000, 48_000),
    ".mp3": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
}

Source = str | Path | BinaryIO
Span = tuple[float, float]  # begin and end in seconds
log = logging.getLogger(__name__)


def read(
    source: Source, sample_rate: int | None = None, max_seconds: float | None = MAX_SECONDS, span: Span | None = None
) -> tuple[np.ndarray, int]:
    """Decode wav, flac, ogg, opus or mp3 of any rate and up to 8 channels into a mono wav (T,) and its rate.

    It is resampled to ``sample_rate`` if that is given. Of a long file only ``max_seconds`` are decoded and the rest is
    dropped with a warning on the log, or ``span`` alone is read. Raises UserError for a missing or unreadable file, one
    that is not audio, an empty one or span, NaN or infinite samples and more than 8 channels.
    """
    name = _name(source)
    with _opened(source) as file:
        _check_layout(name, file.samplerate, file.channels)
        wav, rate = _stretch(file, name, span) if span else _decode(file, name, max_seconds), file.samplerate
    _check_samples(name, wav)
    if sample_rate is not None and sample_rate != rate:
        wav, rate = resample(wav, rate, sample_rate), sample_rate
    return wav, rate


def read_reference(source: Source, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
    """``read`` for a recording to clone a voice from; silence and less than 1 s are UserErrors as well."""
    wav, rate = read(source, sample_rate)
    return check_reference(wav, rate, _name(source)), rate


def check_reference(array: object, rate: int, name: str = "the reference") -> np.ndarray:
    """A recording held in memory as a wav (T,), after the checks that ``read_reference`` makes.

    ``array``: numpy or torch, (T,), (C, T) or (T, C), floats at full scale 1.0 or integers at their own;
    ``rate`` in Hz. More than a minute is cut with a warning on the log.
    """
    samples = _to_numpy(array, name)
    channels = min(samples.shape) if samples.ndim == 2 else 1
    if samples.ndim not in (1, 2):
        raise UserError(f"{name} has shape {samples.shape}; give (samples,) or (channels, samples)")
    _check_layout(name, rate, channels)
    wav = samples if samples.ndim == 1 else samples.mean(axis=int(np.argmin(samples.shape)), dtype=np.float32)
    wav = _cut(wav, rate, MAX_SECONDS, name)
    _check_samples(name, wav)
    if len(wav) < MIN_SECONDS * rate:
        length = len(wav) * 100 // rate / 100
        raise UserError(f"{name} is {length:.2f} s long; record {MIN_SECONDS:g} s or more of speech")
    levels = frame_levels(wav - wav.mean(), rate)
    if levels.max() < SILENCE_DBFS:
        raise UserError(f"{name} is silent (all of it under {SILENCE_DBFS:g} dBFS); record it again, closer")
    sound = len(trim_silence(wav, rate, margin=0.0)) / rate
    if sound < MIN_SOUND_SECONDS:
        raise UserError(f"{name} holds {sound:.2f} s of sound; record at least {MIN_SECONDS:g} s of speech")
    return wav


def condition_reference(wav: np.ndarray, rate: int) -> np.ndarray:
    """(T,) -> (T',): no constant offset, ends trimmed of silence, speech at -23 dBFS rms."""
    wav = wav - wav.mean(dtype=np.float64).astype(np.float32)
    return normalise_loudness(trim_silence(wav, rate), rate)


def trim_silence(wav: np.ndarray, rate: int, margin: float = 0.1, depth: float = 40.0) -> np.ndarray:
    """Drop both ends where they lie ``depth`` dB under the loud parts, but leave ``margin`` seconds."""
    levels = frame_levels(wav, rate)
    loud = np.flatnonzero(levels > max(_speech_level(levels) - depth, SILENCE_DBFS))
    if not loud.size:
        return wav
    hop, spare = _frame_length(rate), round(margin * rate)
    return wav[max(0, loud[0] * hop - spare) : (loud[-1] + 1) * hop + spare]


def normalise_loudness(wav: np.ndarray, rate: int, level: float = SPEECH_DBFS) -> np.ndarray:
    """Scale so that the rms of what is speech in it is ``level`` dBFS, less where a peak would pass -1 dBFS.

    A silent wav comes back as it is. Pauses do not count: speech is what lies within 25 dB of the loud frames
    (in the spirit of ITU-T P.56, without its envelope).
    """
    levels = frame_levels(wav, rate)
    active = levels[levels > max(_speech_level(levels) - 25.0, SILENCE_DBFS)]
    if not active.size:
        return wav
    rms = np.sqrt(np.mean(10.0 ** (active / 10.0)))
    gain = min(10.0 ** (level / 20.0) / rms, PEAK / np.abs(wav).max())
    return (wav * gain).astype(np.float32)


def frame_levels(wav: np.ndarray, rate: int) -> np.ndarray:
    """(T,) -> rms in dBFS of its consecutive 20 ms, the last one padded with silence; at least one."""
    hop = _frame_length(rate)
    padded = np.zeros(max(1, -(-len(wav) // hop)) * hop)
    padded[: len(wav)] = wav
    power = np.square(padded).reshape(-1, hop).mean(axis=1)
    return 10.0 * np.log10(np.maximum(power, 1e-20))


def resample(wav: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """(T,) at ``rate`` Hz -> (about T * new_rate / rate,) at ``new_rate`` Hz, by libsoxr at high quality."""
    return wav if rate == new_rate else soxr.resample(wav, rate, new_rate, quality="HQ")


def seconds(path: str | Path, lowest_rate: int = 0) -> float:
    """Length of a sound file in seconds, from its header and its last tenth of a second.

    Raises UserError as ``read`` does, when the sound ends before its header says so, and for a rate in Hz below
    ``lowest_rate``.
    """
    with _opened(path) as file:
        if file.samplerate < lowest_rate:
            raise UserError(f"{path} has a rate of {file.samplerate} Hz; give sound of {lowest_rate} Hz or more")
        tail = min(file.frames, file.samplerate // 10)
        file.seek(file.frames - tail)
        if len(file.read(tail)) < tail:
            raise UserError(f"{path} breaks off before its end; copy the file again")
        return file.frames / file.samplerate


def check_output(path: str | Path, kind: str = "") -> None:
    """Raise UserError now if ``write`` could not write ``path`` later. ``-`` is standard output."""
    try:
        _check_target(Path(path), kind)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); give another name") from error


def write(path: str | Path, wav: object, rate: int, comment: str = "", kind: str = "") -> None:
    """Write mono samples (T,), numpy or torch; ``-`` is standard output. ``kind``, one of FORMATS, is the format;
    without it the file's ending says, and standard output and devices get wav.

    Samples beyond full scale are clipped. The file appears whole or not at all: it is written beside its
    place and renamed. Raises UserError for an unknown ending, a folder that is missing or closed, and samples
    that are not finite. ``comment`` goes into the file's metadata.
    """
    check_output(path, kind)
    samples = _to_numpy(wav, "the sound to write")
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise UserError(f"the sound for {path} is not one row of finite samples; it was not written")
    target = Path(path)
    if str(path) == "-":
        sys.stdout.buffer.write(_encode(samples, rate, kind or ".wav", comment))
        sys.stdout.buffer.flush()
        return
    content = _encode(samples, rate, kind or (".wav" if _is_special(target) else target.suffix.lower()), comment)
    with _sink(target) as sink:
        sink.write(content)


def write_stream(sink: BinaryIO, chunks: Iterable[object], rate: int) -> None:
    """Write chunks (n,) to ``sink`` as they come, behind ``endless_wav_header``."""
    sink.write(endless_wav_header(rate))
    for chunk in chunks:
        sink.write(to_int16(_to_numpy(chunk, "the sound to write")).tobytes())
        sink.flush()


def endless_wav_header(rate: int) -> bytes:
    """The header of a mono 16-bit wav whose lengths say "until it ends"."""
    endless, layout = b"\xff\xff\xff\xff", struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
    return b"RIFF" + endless + b"WAVEfmt " + layout + b"data" + endless


def to_int16(wav: np.ndarray) -> np.ndarray:
    """(T,) float at full scale 1.0, clipped there -> (T,) little-endian 16-bit integers."""
    return np.rint(np.clip(wav, -1.0, 1.0) * 32767.0).astype("<i2")


def encoder_rate(suffix: str, rate: int) -> int:
    """The rate at which a format takes samples of ``rate`` Hz: its own highest where it does not know that one."""
    rates = ENCODER_RATES.get(suffix, (rate,))
    return rate if rate in rates else rates[-1]


def create(sink: BinaryIO, suffix: str, rate: int, comment: str = "", **quality: object) -> soundfile.SoundFile:
    """A mono sound file of a format of ``FORMATS``, at an ``encoder_rate``, open for ``append``; ``quality`` is
    soundfile's ``bitrate_mode`` and ``compression_level``."""
    kind, subtype = FORMATS[suffix]
    file = soundfile.SoundFile(sink, "w", rate, 1, subtype, format=kind, **quality)
    if comment:
        file.comment = comment
    return file


def append(file: soundfile.SoundFile, wav: np.ndarray) -> None:
    """Write (T,) in blocks: libsndfile's Vorbis encoder keeps a block on its stack."""
    wav = np.clip(wav, -1.0, 1.0)
    for start in range(0, len(wav), 16384):
        file.write(wav[start : start + 16384])


def write_growing(path: str | Path, chunks: Iterable[object], rate: int) -> None:
    """Write chunks (n,) into a wav file as they come, beside its place, and rename it at the end; into a device or a
    pipe as ``write_stream``. Memory does not grow with the sound. Raises UserError as ``write`` does.
    """
    check_output(path, ".wav")
    with _sink(Path(path)) as sink:
        write_stream(sink, chunks, rate)
        if not _is_special(Path(path)):
            size = sink.tell()
            for place, length in ((4, size - 8), (40, size - 44)):
                sink.seek(place)
                sink.write(struct.pack("<I", min(length, 0xFFFFFFFF)))


def _name(source: object) -> str:
    return str(getattr(source, "name", "the audio") if hasattr(source, "read") else source) or "''"


@contextmanager
def _opened(source: Source) -> Iterator[soundfile.SoundFile]:
    """An open sound file. Whatever shows, now or while it is decoded, that it is none becomes a UserError."""
    name = _name(source)
    try:
        with _seekable(source) as stream:
            if not stream.read(1):
                raise UserError(f"{name} is empty; record or export it again")
            stream.seek(0)
            with soundfile.SoundFile(stream) as file:
                yield file
    except FileNotFoundError as error:
        raise UserError(f"{name}: no such file; check the path") from error
    except IsADirectoryError as error:
        raise UserError(f"{name} is a folder; give one sound file in it") from error
    except (soundfile.SoundFileError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{name} is not audio that can be read (wav, flac, ogg, opus, mp3); convert it, "
            "for instance with: ffmpeg -i IN OUT.wav"
        ) from error
    except OSError as error:
        raise UserError(f"{name} cannot be read ({error.strerror}); check its permissions") from error


@contextmanager
def _seekable(source: Source) -> Iterator[BinaryIO]:
    """The bytes of ``source`` as a stream that can seek; those of a pipe are held in memory, to a limit."""
    if hasattr(source, "read"):
        yield source if source.seekable() else io.BytesIO(source.read(MAX_PIPE_BYTES))
        return
    with open(source, "rb") as stream:
        yield stream if stream.seekable() else io.BytesIO(stream.read(MAX_PIPE_BYTES))


def _decode(file: soundfile.SoundFile, name: str, max_seconds: float | None) -> np.ndarray:
    """Decode block by block, mixing to mono at once, and stop one sample beyond the limit. -> (T,)"""
    wanted = None if max_seconds is None else int(max_seconds * file.samplerate) + 1
    blocks, length = [], 0
    while wanted is None or length < wanted:
        size = 65536 if wanted is None else min(65536, wanted - length)
        block = file.read(size, dtype="float32", always_2d=True)
        if not len(block):
            break
        blocks.append(block.mean(axis=1))
        length += len(block)
    wav = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    return wav if max_seconds is None else _cut(wav, file.samplerate, max_seconds, name)


def _stretch(file: soundfile.SoundFile, name: str, span: Span) -> np.ndarray:
    """The samples (T,) of ``span``, whose end may be rounded up by 0.1 s."""
    first, last = (round(second * file.samplerate) for second in span)
    file.seek(min(first, file.frames))
    wav = file.read(last - first, dtype="float32", always_2d=True).mean(axis=1)
    if len(wav) < last - first - file.samplerate // 10:
        raise UserError(f"{name} holds no sound from {span[0]:g} to {span[1]:g} s; is it cut off? copy it again")
    return wav


def _cut(wav: np.ndarray, rate: int, max_seconds: float, name: str) -> np.ndarray:
    limit = int(max_seconds * rate)
    if len(wav) > limit:
        log.warning("%s is longer than %g s; only its first %g s are used", name, max_seconds, max_seconds)
    return wav[:limit]


def _check_layout(name: str, rate: int, channels: int) -> None:
    if channels > MAX_CHANNELS:
        raise UserError(f"{name} has {channels} channels; mix it down to mono or stereo")
    if not RATES[0] <= rate <= RATES[1]:
        raise UserError(f"{name} has a rate of {rate} Hz; resample it to {RATES[0]} to {RATES[1]} Hz")


def _check_samples(name: str, wav: np.ndarray) -> None:
    if not wav.size:
        raise UserError(f"{name} holds no sound at all; record or export it again")
    if not np.isfinite(wav).all():
        raise UserError(f"{name} holds samples that are not numbers (NaN or infinite); export it again")


def _to_numpy(array: object, name: str) -> np.ndarray:
    """numpy or torch, integers at their own full scale or floats -> float32 numpy of the same shape."""
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        array = array.float() if array.is_floating_point() else array
    array = np.asarray(array)
    if array.dtype.kind not in "iuf":
        raise UserError(f"{name} holds {array.dtype} values; give real numbers")
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    limits = np.iinfo(array.dtype)
    scale = (limits.max - limits.min + 1) / 2
    return ((array.astype(np.float64) - limits.min) / scale - 1.0).astype(np.float32)


def _speech_level(levels: np.ndarray) -> float:
    return float(np.percentile(levels, 95))


def _frame_length(rate: int) -> int:
    return max(1, round(0.02 * rate))


def _is_special(path: Path) -> bool:
    """A device or a pipe, which is written into and never replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _encode(wav: np.ndarray, rate: int, suffix: str, comment: str) -> bytes:
    """The bytes of a whole file."""
    new_rate, memory = encoder_rate(suffix, rate), io.BytesIO()
    with create(memory, suffix, new_rate, comment) as file:
        append(file, resample(wav, rate, new_rate))
    return memory.getvalue()


def _check_target(path: Path, kind: str) -> None:
    if str(path) == "-" or _is_special(path):
        return
    if path.is_dir():
        raise UserError(f"{path} is a folder; give a file name such as {path / 'speech.wav'}")
    if not kind and path.suffix.lower() not in FORMATS:
        raise UserError(f"cannot tell the format of {path}; end its name in one of {' '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise UserError(f"the folder {path.parent} does not exist; make it first: mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise UserError(f"{path} may not be written; choose another place or change its permissions")


@contextmanager
def _sink(path: Path) -> Iterator[BinaryIO]:
    """A device, to be written into, or a file that takes the place of ``path`` when all is written. UserError where
    that fails; nothing is left then."""
    target, special = path.resolve(), _is_special(path)
    part = path if special else target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as sink:
            yield sink
        if not special:
            os.replace(part, target)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); nothing was left there") from error
    finally:
        if not special:
            part.unlink(missing_ok=True)
