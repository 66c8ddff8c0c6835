"""The clinic for a reference: what a recording is like, what is wrong with it, and the best seconds of it.

Levels and times come from the sound alone. DNSMOS (speechmos), a look for a second speaker (Resemblyzer) and the
picture (matplotlib) are used where their packages are; a report says what was not checked.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from latent_tts import audio
from latent_tts.errors import UserError

BEST_SECONDS = (3.0, 10.0)  # of a reference; a shorter one is taken whole
STEP = 0.02  # seconds of one of audio.frame_levels
GATE = 30.0  # dB under the loud parts from which a place counts as quiet
CLIP = 0.985  # of full scale
WINDOW = 1.6  # seconds that are compared with each other, what Resemblyzer was trained on
LIMITS = {
    "loudness": (-36.0, "is very quiet; record it closer to the microphone"),
    "clipped": (0.0005, "is clipped; record it again with less gain"),
    "snr": (15.0, "is noisy; record it in a quiet room, closer to the microphone"),
    "dnsmos": (2.4, "sounds poor (DNSMOS); record it with another microphone or room"),
    "pause": (1.0, "has a long pause, which speech will copy; cut it out"),
    "likeness": (0.6, "may hold more than one speaker; keep one of them"),
}


@dataclass(frozen=True)
class Finding:
    """Something that speaks against a recording, and what to do about it."""

    name: str
    text: str


@dataclass(frozen=True)
class ClinicReport:
    """What a recording is like, from ``start`` to ``end``, the seconds of it that were chosen."""

    seconds: float  # of the whole recording
    start: float
    end: float
    loudness: float  # dBFS rms of what is speech
    peak: float  # of full scale
    clipped: float  # share of samples at full scale
    snr: float  # dB between speech and what is between the words, an estimate
    dnsmos: float | None  # overall, 1 to 5; None where speechmos is not installed
    pause: float  # seconds of the longest silence within
    speech: float  # share of the time in which somebody speaks
    likeness: float | None  # of the two least alike stretches of 1.6 s; None where Resemblyzer is not installed
    cut_start: bool  # begins in the middle of a word
    cut_end: bool
    findings: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()
    done: tuple[str, ...] = ()  # what was done to the recording

    @property
    def good(self) -> bool:
        return not self.findings

    def lines(self) -> list[str]:
        """Sentences to show: what was done, what was measured, what is wrong."""
        measured = (
            f"{self.end - self.start:.1f} s of {self.seconds:.1f} s used, from {self.start:.1f} s to {self.end:.1f} s; "
            f"speech at {self.loudness:.0f} dBFS for {self.speech:.0%} of the time, peak {self.peak:.2f}, "
            f"{self.snr:.0f} dB above the noise"
            + (f", DNSMOS {self.dnsmos:.2f}" if self.dnsmos is not None else "")
        )
        notes = [f"not checked: {what}" for what in self.unchecked]
        return [measured, *self.done, *(f"the recording {finding.text}" for finding in self.findings), *notes]

    def as_dict(self) -> dict:
        """For JSON."""
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}
        return rounded | {"good": self.good}


def examine(wav: np.ndarray, rate: int, extras: bool = True) -> tuple[ClinicReport, np.ndarray]:
    """A recording (T,) as ``audio.read_reference`` gives it -> a report on its best seconds, and these.

    The stretch begins and ends in a pause where there is one. ``extras`` are DNSMOS and the look for a second speaker,
    a second or two of work. UserError where nothing in it is sound.
    """
    wav = audio.check_reference(wav, rate)
    start, end = best_stretch(wav, rate)
    chosen = wav[round(start * rate) : round(end * rate)]
    report = _measure(chosen, rate, start, end)
    report = replace(report, seconds=len(wav) / rate, done=tuple(_what_was_done(len(wav) / rate, start, end)))
    dnsmos, likeness, unchecked = _with_extras(chosen, rate) if extras else (None, None, ["DNSMOS, several speakers"])
    report = replace(report, dnsmos=dnsmos, likeness=likeness, unchecked=tuple(unchecked))
    return replace(report, findings=tuple(_findings(report))), chosen


def best_stretch(wav: np.ndarray, rate: int) -> tuple[float, float]:
    """Seconds at which the best stretch begins and ends: whole words, clean, loud enough, of BEST_SECONDS if possible.

    Candidates lie between two pauses; a second of speech counts for it, clipping, noise and long gaps against it.
    """
    levels = audio.frame_levels(wav - wav.mean(), rate)
    quiet = is_quiet(levels)
    cuts = _middles_of_pauses(quiet)
    least, most = (round(seconds / STEP) for seconds in BEST_SECONDS)
    if len(levels) <= least:
        return 0.0, len(wav) / rate
    pairs = [(a, b) for a in cuts for b in cuts if least <= b - a <= most]
    if not pairs:  # nobody pauses in it
        first = int(np.flatnonzero(~quiet)[0]) if not quiet.all() else 0
        pairs = [(first, min(first + most, len(levels)))]
    hits = np.add.reduceat(np.abs(wav) >= CLIP, np.arange(0, len(wav), max(1, round(STEP * rate))))[: len(levels)]
    sums = [np.concatenate([[0], np.cumsum(values)]) for values in (~quiet, hits > 0)]
    a, b = max(pairs, key=lambda pair: _worth(pair, *sums))
    return a * STEP, min(b * STEP, len(wav) / rate)


def is_quiet(levels: np.ndarray) -> np.ndarray:
    """Levels in dBFS -> bool: GATE dB under the loud parts, or hardly above the noise where that is higher."""
    floor, loud = np.percentile(levels, [5, 95])
    return levels < max(min(loud - GATE, -25.0), min(floor + 6.0, loud - 10.0))


def draw(path: str | Path, wav: np.ndarray, rate: int, report: ClinicReport) -> None:
    """Write a PNG of the whole recording (T,): its spectrogram, with the chosen seconds marked. UserError without
    matplotlib.
    """
    if find_spec("matplotlib") is None:
        raise UserError("the picture needs matplotlib: pip install matplotlib")
    from latent_tts.evaluate.pictures import Spectrogram
    from latent_tts.evaluate.pictures import draw as draw_panels

    marks = [(report.start, "from here"), (report.end, "to here")]
    title = "; ".join(finding.text for finding in report.findings) or "nothing speaks against it"
    try:
        draw_panels(Path(path), [Spectrogram(title[:150], wav, rate, marks)])
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); choose another place") from None


def _worth(pair: tuple[int, int], spoken: np.ndarray, clipped: np.ndarray) -> float:
    a, b = pair
    speech, bad = spoken[b] - spoken[a], clipped[b] - clipped[a]
    return speech - 0.5 * (b - a - speech) - 20.0 * bad


def _middles_of_pauses(quiet: np.ndarray) -> list[int]:
    """Where to cut: amid every silence of 60 ms or more, but 100 ms from the speech where it is longer; both ends."""
    edges = np.flatnonzero(np.diff(np.r_[0, quiet.astype(np.int8), 0]))
    cuts = {0, len(quiet)}
    for first, last in zip(edges[::2], edges[1::2]):
        if last - first >= 3:
            margin = min(5, (last - first) // 2)
            cuts |= {int(first) + margin, int(last) - margin}
    if len(cuts) > 400:  # a minute holds fewer pauses, unless it is noise
        cuts = set(sorted(cuts)[:: len(cuts) // 400 + 1]) | {0, len(quiet)}
    return sorted(cuts)


def _measure(wav: np.ndarray, rate: int, start: float, end: float) -> ClinicReport:
    levels = audio.frame_levels(wav - wav.mean(), rate)
    quiet = is_quiet(levels)
    loud = levels[~quiet] if not quiet.all() else levels
    loudness = 10 * np.log10(np.mean(10 ** (loud / 10)))
    noise = np.percentile(levels, 5)
    runs = np.diff(np.flatnonzero(~quiet)) - 1
    return ClinicReport(
        seconds=len(wav) / rate,
        start=start,
        end=end,
        loudness=float(loudness),
        peak=float(np.abs(wav).max()),
        clipped=float((np.abs(wav) >= CLIP).mean()),
        snr=float(loudness - max(noise, -96.0)),
        dnsmos=None,
        pause=float(runs.max() * STEP) if runs.size else 0.0,
        speech=float((~quiet).mean()),
        likeness=None,
        cut_start=bool(not quiet[:2].any()),
        cut_end=bool(not quiet[-2:].any()),
    )


def _findings(report: ClinicReport) -> list[Finding]:
    """What of a report is beyond the LIMITS."""
    seconds = report.end - report.start
    wrong = {
        "loudness": report.loudness < LIMITS["loudness"][0],
        "clipped": report.clipped > LIMITS["clipped"][0],
        "snr": report.snr < LIMITS["snr"][0],
        "dnsmos": report.dnsmos is not None and report.dnsmos < LIMITS["dnsmos"][0],
        "pause": report.pause > LIMITS["pause"][0],
        "likeness": report.likeness is not None and report.likeness < LIMITS["likeness"][0],
    }
    findings = [Finding(name, LIMITS[name][1]) for name, true in wrong.items() if true]
    if seconds < BEST_SECONDS[0]:
        wanted = f"{BEST_SECONDS[0]:g} to {BEST_SECONDS[1]:g} s"
        findings.append(Finding("length", f"has {seconds:.1f} s to use; {wanted} are better"))
    cut = [name for name, true in (("begins", report.cut_start), ("ends", report.cut_end)) if true]
    if cut:
        findings.append(Finding("cut", f"{' and '.join(cut)} in the middle of a word; leave a short silence there"))
    return findings


def _what_was_done(seconds: float, start: float, end: float) -> list[str]:
    pieces = (("beginning", start), ("end", seconds - end))
    cut = [f"{length:.1f} s cut off at the {name}" for name, length in pieces if length > 0.05]
    return [", ".join(cut)] if cut else []


def _with_extras(wav: np.ndarray, rate: int) -> tuple[float | None, float | None, list[str]]:
    """DNSMOS, the likeness of the two least alike stretches, and the names of what could not be checked."""
    unchecked, score, likeness = [], None, None
    if find_spec("speechmos") and find_spec("onnxruntime"):
        from latent_tts.evaluate.quality import dnsmos

        score = dnsmos(wav, rate)["ovrl"]
    else:
        unchecked.append("DNSMOS (pip install speechmos onnxruntime librosa)")
    if find_spec("resemblyzer") is None:
        unchecked.append("several speakers (needs resemblyzer, see README)")
    elif len(wav) / rate >= 2 * WINDOW:
        likeness = least_likeness(wav, rate)
    return score, likeness, unchecked


def least_likeness(wav: np.ndarray, rate: int) -> float:
    """The cosine between the two least alike of consecutive stretches of WINDOW seconds of a wav (T,)."""
    from latent_tts.evaluate.similarity import cosine, embed
    from latent_tts.speaker import load_encoder

    encoder, size = load_encoder(), round(WINDOW * rate)
    count = len(wav) // size
    stretches = [embed(encoder, wav[i * size : (i + 1) * size], rate) for i in range(count)]
    stretches = [stretch for stretch in stretches if stretch.any()]
    pairs = [cosine(a, b) for i, a in enumerate(stretches) for b in stretches[i + 1 :]]
    return min(pairs, default=1.0)
