"""Reading, checking, conditioning and writing sound."""

from __future__ import annotations

import io
import os
import stat
import threading

import numpy as np
import pytest
import soundfile
import torch

from latent_tts import audio
from latent_tts.errors import UserError


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """The largest normalised correlation of two sounds over all shifts: encoders add a delay."""
    size = len(a) + len(b)
    products = np.fft.irfft(np.fft.rfft(a, size) * np.fft.rfft(b, size).conj(), size)
    return float(products.max() / np.sqrt((a @ a) * (b @ b)))


@pytest.mark.parametrize("suffix", sorted(audio.FORMATS))
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
def test_written_sound_reads_back(tmp_path, syllables, suffix, rate):
    wav = syllables(2.0, rate)
    audio.write(tmp_path / f"a{suffix}", wav, rate, comment="AI-generated")
    back, back_rate = audio.read(tmp_path / f"a{suffix}", rate)
    assert back.dtype == np.float32 and back.ndim == 1 and back_rate == rate
    assert abs(len(back) - len(wav)) < 0.15 * rate
    assert likeness(back, wav) > 0.97
    assert os.listdir(tmp_path) == [f"a{suffix}"]


@pytest.mark.parametrize("channels", [1, 2, 8])
def test_channels_are_averaged(sound_file, channels):
    columns = np.linspace(-0.5, 0.4, channels)[None].repeat(4000, axis=0)
    wav, rate = audio.read(sound_file("a.wav", columns, 8000, subtype="FLOAT"))
    assert rate == 8000 and wav.shape == (4000,)
    assert np.allclose(wav, columns.mean(), atol=1e-6)


def test_resampling_keeps_the_tone(sound_file):
    tone = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
    wav, rate = audio.read(sound_file("a.flac", tone, 44100), 16000)
    assert rate == 16000 and len(wav) == 16000
    spectrum = np.abs(np.fft.rfft(wav))
    assert spectrum.argmax() == 440 and spectrum[500:].max() < 0.01 * spectrum.max()


def test_a_file_object_and_a_pipe_are_read(tmp_path, syllables):
    memory = io.BytesIO()
    soundfile.write(memory, syllables(1.0), 16000, format="WAV")
    memory.seek(0)
    assert audio.read(memory)[0].shape == (16000,)
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(memory.getvalue(),))
    writer.start()
    assert audio.read(tmp_path / "pipe")[0].shape == (16000,)
    writer.join()


def test_no_more_than_the_limit_is_decoded(sound_file, caplog, monkeypatch):
    path = sound_file("long.flac", np.full(8000 * 600, 0.25), 8000)
    decoded = []
    read = soundfile.SoundFile.read
    monkeypatch.setattr(
        soundfile.SoundFile, "read", lambda self, n, **k: decoded.append(n) or read(self, n, **k)
    )
    wav, rate = audio.read(path)
    assert len(wav) == 60 * rate and sum(decoded) == 60 * rate + 1
    assert "longer than 60 s" in caplog.text
    assert len(audio.read(path, max_seconds=None)[0]) == 600 * rate
    assert audio.seconds(path) == 600


def bad_files(sound_file, tmp_path, syllables) -> dict[str, tuple[object, str]]:
    """name -> (path, a word of the complaint)"""
    noise, wrong = syllables(), np.full(20000, np.nan)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("not a sound\n" * 50)
    (tmp_path / "text.raw").write_text("not a sound\n" * 50)
    infinite = noise.copy()
    infinite[100] = np.inf
    return {
        "missing": (tmp_path / "nowhere.wav", "no such file"),
        "folder": (tmp_path, "folder"),
        "under a file": (tmp_path / "text.wav" / "a.wav", "cannot be read"),
        "no bytes": (tmp_path / "empty.wav", "is empty"),
        "not audio": (tmp_path / "text.wav", "not audio"),
        "raw": (tmp_path / "text.raw", "not audio"),
        "no samples": (sound_file("none.wav", np.zeros(0)), "no sound"),
        "silent": (sound_file("silent.wav", np.zeros(48000)), "silent"),
        "offset": (sound_file("offset.wav", np.full(48000, 0.3)), "silent"),
        "short": (sound_file("short.wav", noise[:15999]), "0.99 s long"),
        "click": (sound_file("click.wav", np.eye(1, 48000, 9)[0]), "s of sound"),
        "NaN": (sound_file("nan.wav", wrong, subtype="FLOAT"), "not numbers"),
        "infinite": (sound_file("inf.wav", infinite, subtype="FLOAT"), "not numbers"),
        "nine channels": (sound_file("nine.wav", np.tile(noise[:, None], 9)), "9 channels"),
        "slow": (sound_file("slow.wav", noise, 100), "rate of 100 Hz"),
    }


def test_every_bad_reference_says_what_is_wrong(sound_file, tmp_path, syllables):
    for name, (path, complaint) in bad_files(sound_file, tmp_path, syllables).items():
        with pytest.raises(UserError) as caught:
            audio.read_reference(path)
        said = str(caught.value)
        assert complaint in said and "\n" not in said, (name, said)


def test_a_closed_file_is_reported(sound_file, syllables, monkeypatch):
    def refuse(*_: object) -> None:  # not by chmod: root may read everything
        raise PermissionError(13, "Permission denied")

    path = sound_file("closed.wav", syllables())
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UserError, match="cannot be read .Permission denied."):
        audio.read(path)


@pytest.mark.parametrize("suffix", sorted(audio.FORMATS))
def test_damaged_files_never_surprise(tmp_path, syllables, suffix):
    """A file cut off or overwritten anywhere is read as far as it goes, or refused as a UserError."""
    audio.write(tmp_path / f"whole{suffix}", syllables(2.0), 16000)
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(40):
        content = bytearray(whole[: rng.integers(1, len(whole))])
        for place in rng.integers(0, len(content), 20):
            content[place] = rng.integers(256)
        try:
            wav, _ = audio.read(io.BytesIO(bytes(content)))
        except UserError:
            continue
        assert wav.ndim == 1 and np.isfinite(wav).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda wav: wav,
        lambda wav: wav.astype(np.float64),
        lambda wav: np.stack([wav, wav]),
        lambda wav: np.stack([wav, wav], axis=1),
        lambda wav: torch.from_numpy(wav),
        lambda wav: torch.from_numpy(wav).bfloat16()[None],
        lambda wav: (wav * 32768).round().astype(np.int16),
        lambda wav: torch.from_numpy((wav * 32768).round()).short(),
        lambda wav: (wav * 128 + 128).round().astype(np.uint8),
    ],
)
def test_arrays_of_every_kind_are_one_wav(syllables, make):
    wav = syllables()
    checked = audio.check_reference(make(wav), 16000)
    assert checked.dtype == np.float32 and checked.shape == wav.shape
    assert np.abs(checked - wav).max() < 0.01


@pytest.mark.parametrize("array", [np.zeros((2, 3, 4)), np.array(["a"]), np.ones((9, 16000)), np.zeros((0,))])
def test_arrays_that_are_no_reference_are_refused(array):
    with pytest.raises(UserError):
        audio.check_reference(array, 16000)


@pytest.mark.parametrize("level", [0.03, 0.1, 0.9])
def test_conditioning_trims_and_levels(syllables, level):
    speech = syllables(4.0, 16000, level / 3)
    padded = np.concatenate([np.zeros(16000), speech, np.zeros(32000)]).astype(np.float32) + 0.05
    wav = audio.condition_reference(padded, 16000)
    assert wav.dtype == np.float32 and 3.5 * 16000 < len(wav) < 4.5 * 16000
    assert np.abs(wav).max() <= 0.9
    levels = audio.frame_levels(wav, 16000)
    active = levels[levels > np.percentile(levels, 95) - 25]
    assert 10 * np.log10(np.mean(10 ** (active / 10))) == pytest.approx(-23, abs=1)


def test_a_peak_limits_the_gain(syllables):
    wav = syllables(3.0, 16000, 0.001)
    wav[20000] = 0.5
    assert np.abs(audio.condition_reference(wav, 16000)).max() == pytest.approx(0.89, abs=0.01)


def test_silence_stays_silence():
    assert not audio.condition_reference(np.zeros(16000, np.float32), 16000).any()


def test_loud_samples_are_clipped_not_wrapped(tmp_path):
    audio.write(tmp_path / "a.wav", torch.tensor([0.0, 1.0, 3.0, -1.0, -3.0]), 16000)
    assert np.allclose(audio.read(tmp_path / "a.wav")[0], [0, 1, 1, -1, -1], atol=1e-4)


def test_a_minute_of_vorbis_is_encoded(tmp_path, syllables):
    audio.write(tmp_path / "a.ogg", syllables(60.0), 16000)
    assert audio.seconds(tmp_path / "a.ogg") == 60


@pytest.mark.parametrize("name", ["a.xyz", "a", "nowhere/a.wav", "", "x" * 300 + ".wav", "."])
def test_places_that_cannot_be_written(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError):
        audio.write(name, np.zeros(100), 16000)
    assert os.listdir(tmp_path) == []


def test_what_cannot_be_written_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    monkeypatch.setattr(
        os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    for samples in (np.zeros(100), np.full(100, np.nan), np.zeros((2, 100))):
        with pytest.raises(UserError):
            audio.write(path, samples, 16000)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.wav"]


def test_devices_and_links_are_written_through(tmp_path):
    audio.write("/dev/null", np.zeros(100), 16000)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    (tmp_path / "link.wav").symlink_to(tmp_path / "target.wav")
    audio.write(tmp_path / "link.wav", np.zeros(100), 16000)
    assert (tmp_path / "link.wav").is_symlink() and audio.seconds(tmp_path / "target.wav") == 100 / 16000


def test_a_stream_is_a_wav_without_an_end(syllables):
    wav, sink = syllables(1.0), io.BytesIO()
    audio.write_stream(sink, (torch.from_numpy(chunk) for chunk in np.split(wav, 10)), 16000)
    sink.seek(0)
    back, rate = audio.read(sink)
    assert rate == 16000 and np.allclose(back, wav, atol=1e-4)


def test_a_growing_file_is_a_whole_wav(tmp_path, syllables):
    wav = syllables(1.0)
    audio.write_growing(tmp_path / "a.wav", np.split(wav, 10), 16000)
    assert np.allclose(audio.read(tmp_path / "a.wav")[0], wav, atol=1e-4) and audio.seconds(tmp_path / "a.wav") == 1.0
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_growing_file_that_breaks_off_is_not_left(tmp_path):
    def chunks():
        yield np.zeros(100, np.float32)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audio.write_growing(tmp_path / "a.wav", chunks(), 16000)
    assert not list(tmp_path.iterdir())


def test_the_kind_of_a_file_may_be_told(tmp_path, syllables):
    audio.write(tmp_path / "sound", syllables(1.0), 16000, kind=".flac")
    assert (tmp_path / "sound").read_bytes().startswith(b"fLaC")


def test_a_file_that_breaks_off_is_noticed(tmp_path, syllables):
    audio.write(tmp_path / "a.flac", syllables(3.0), 16000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError):
        audio.seconds(tmp_path / "a.flac")
