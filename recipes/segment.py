"""Long recordings are cut where the reader pauses, as Silero's voice activity detector hears it: a table segments.

A pause longer than --longest_pause always ends a piece; what is longer than --longest without one is cut at the longest
pause that leaves --shortest on either side. Pieces shorter than that are left out. A recording that cannot be read or
holds no such piece is listed and left out, and more than 5 % of them is an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from stage import Part, add_parts, in_parts, progress, stage

from latent_tts import audio
from latent_tts.audio import Span
from latent_tts.data.kaldi import read_segments, read_table, sound_path, write_segments
from latent_tts.data.librilight import utterance_name
from latent_tts.errors import UserError

if TYPE_CHECKING:
    from silero_vad.sequence_vad import SileroVADSequence

RATE = 16000  # Hz, of the detector
PAUSE = 100  # milliseconds of silence in which may be cut
PAD = 0.1  # seconds of it that stay at either end of a piece


@stage
def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scp", type=Path, required=True, help="wav.scp of the recordings")
    parser.add_argument("--out", type=Path, required=True, help="the table segments, utt recording begin end")
    parser.add_argument("--shortest", type=float, default=3.0, help="seconds of a piece")
    parser.add_argument("--longest", type=float, default=20.0, help="seconds of a piece")
    parser.add_argument("--longest_pause", type=float, default=1.5, help="seconds within a piece")
    parser.add_argument("--max_bad", type=float, default=0.05, help="share of bad recordings that is borne")
    add_parts(parser)
    options = parser.parse_args(argv)
    recordings = read_table(options.scp)
    if not recordings:
        raise UserError(f"{options.scp} names no recording; was the corpus found?")

    def do(part: Part) -> None:
        leave(segment(part.share(sorted(recordings)), recordings, options), part)

    def join(parts: list[Part]) -> None:
        leave({utt: piece for part in parts for utt, piece in read_segments(part.of(options.out)).items()}, Part())

    def leave(segments: dict[str, tuple[str, Span]], part: Part) -> None:
        if not part.suffix:
            check(recordings, segments, options.max_bad)
        write_segments(part.of(options.out), segments)

    in_parts(options, options.out, do, join)


def segment(names: Sequence[str], recordings: Mapping[str, str], options: argparse.Namespace) -> dict:
    """utt -> (recording, span) of every piece of these recordings."""
    detector, segments, heard, kept = load_detector(), {}, 0.0, 0.0
    for name in progress(names, desc="segment", unit="recordings"):
        try:
            wav, _ = audio.read(sound_path(options.scp.parent, recordings[name]), RATE, max_seconds=None)
        except UserError as error:
            print(f"bad {name}: {error}", file=sys.stderr)
            continue
        pieces = cut(speech_of(detector, wav), options.shortest, options.longest, options.longest_pause)
        if not pieces:
            print(f"bad {name}: no {options.shortest:g} s of speech in it", file=sys.stderr)
        pieces = [(begin, min(end, len(wav) / RATE)) for begin, end in pieces]
        segments |= {utterance_name(name, span): (name, span) for span in pieces}
        heard, kept = heard + len(wav) / RATE, kept + sum(end - begin for begin, end in pieces)
    print(f"segment: {len(names)} recordings, {len(segments)} pieces, {kept:.0f} of {heard:.0f} s", file=sys.stderr)
    return segments


def load_detector() -> SileroVADSequence:
    """Silero VAD (https://github.com/snakers4/silero-vad) in ONNX Runtime. UserError where it is not installed."""
    try:
        import onnxruntime  # noqa: F401, it would be missed later and not by name
        from silero_vad import load_silero_vad
    except ImportError as error:
        raise UserError(f"{error}; 'make test' installs it, as pip install '.[train]' does") from None
    return load_silero_vad(sequence=True)


def speech_of(detector: SileroVADSequence, wav: np.ndarray) -> list[Span]:
    """Where there is speech in ``wav`` (T,) at RATE."""
    from silero_vad import get_speech_timestamps_sequence

    found = get_speech_timestamps_sequence(wav, detector, min_silence_duration_ms=PAUSE, speech_pad_ms=0)
    return [(span["start"] / RATE, span["end"] / RATE) for span in found]


def cut(speech: Sequence[Span], shortest: float, longest: float, longest_pause: float) -> list[Span]:
    """Spans of speech in order -> pieces of ``shortest`` to ``longest`` seconds, each from pause to pause.

    Speech that goes on for longer than ``longest`` gives none.
    """
    pieces, waiting = [], [list(speech)] if speech else []
    while waiting:
        spans = waiting.pop()
        piece = max(0.0, spans[0][0] - PAD), spans[-1][1] + PAD
        pauses = [after[0] - before[1] for before, after in zip(spans, spans[1:])]
        if piece[1] - piece[0] <= longest and max(pauses, default=0.0) <= longest_pause:
            if piece[1] - piece[0] >= shortest:
                pieces.append(piece)
        elif pauses:
            place = best_place(spans, pauses, shortest, longest_pause)
            waiting += [spans[place:], spans[:place]]
    return pieces


def best_place(spans: Sequence[Span], pauses: Sequence[float], shortest: float, longest_pause: float) -> int:
    """The number of the span before which to cut: after the longest pause, of those that leave ``shortest`` seconds on
    either side or must not lie within a piece."""
    begin, end = spans[0][0], spans[-1][1]

    def rank(number: int) -> tuple[bool, float]:
        enough = min(spans[number - 1][1] - begin, end - spans[number][0]) >= shortest
        return enough or pauses[number - 1] > longest_pause, pauses[number - 1]

    return max(range(1, len(spans)), key=rank)


def check(recordings: Iterable[str], segments: Mapping[str, tuple[str, Span]], max_bad: float) -> None:
    """UserError where too many recordings gave no piece."""
    cut_up = {recording for recording, _ in segments.values()}
    bad = [name for name in recordings if name not in cut_up]
    count = len(bad) + len(cut_up)
    print(f"segment: {count} recordings, {len(bad)} bad ones left out, {len(segments)} pieces", file=sys.stderr)
    if not cut_up or len(bad) > max_bad * count:
        raise UserError(f"{len(bad)} of {count} recordings are bad (more than {max_bad:.0%}), {bad[0]} is one")


if __name__ == "__main__":
    sys.exit(main())
