"""When each word is said, as subtitles (SRT, WebVTT) or JSON. A sentence here is its words, as intervals."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from latent_tts.align.intervals import Interval
from latent_tts.errors import UserError
from latent_tts.files import write_whole

LINE = 42  # characters of a subtitle, two lines of which make a cue


def write(path: str | Path, sentences: Sequence[Sequence[Interval]]) -> None:
    """Write subtitles as the ending of ``path`` says: .srt, .vtt or .json. Whole or not at all, else UserError."""
    path = check(path)
    write_whole(path, FORMATS[path.suffix.lower()](sentences).encode())


def check(path: str | Path) -> Path:
    """The path of a file that ``write`` could write. UserError for another ending or a folder that is not there."""
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise UserError(f"cannot tell the format of {path}; end its name in one of {' '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise UserError(f"the folder {path.parent} does not exist; make it first: mkdir -p {path.parent}")
    return path


def as_srt(sentences: Sequence[Sequence[Interval]]) -> str:
    cues = enumerate(_cues(sentences), 1)
    return "".join(f"{i}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n" for i, (text, start, end) in cues)


def as_vtt(sentences: Sequence[Sequence[Interval]]) -> str:
    cues = _cues(sentences)
    return "WEBVTT\n\n" + "".join(f"{_clock(a, '.')} --> {_clock(b, '.')}\n{text}\n\n" for text, a, b in cues)


def as_json(sentences: Sequence[Sequence[Interval]]) -> str:
    """A list of sentences, each with its words; times in seconds, to a millisecond."""
    rows = [
        {
            "text": " ".join(word.label for word in words),
            "start": round(words[0].begin, 3),
            "end": round(words[-1].end, 3),
            "words": [{"text": w.label, "start": round(w.begin, 3), "end": round(w.end, 3)} for w in words],
        }
        for words in sentences
        if words
    ]
    return json.dumps({"sentences": rows}, ensure_ascii=False, indent=1) + "\n"


def _cues(sentences: Sequence[Sequence[Interval]]) -> list[tuple[str, float, float]]:
    """(text of one or two lines, start, end); a cue never spans two sentences, and ends before the next begins."""
    cues = []
    for words in sentences:
        lines: list[list[Interval]] = []
        for word in words:
            if lines and len(" ".join(w.label for w in lines[-1])) + 1 + len(word.label) <= LINE:
                lines[-1].append(word)
            else:
                lines.append([word])
        for pair in (lines[i : i + 2] for i in range(0, len(lines), 2)):
            text = "\n".join(" ".join(word.label for word in line) for line in pair)
            start = pair[0][0].begin
            cues.append((text, start, max(pair[-1][-1].end, start + 0.001)))
    return cues


def _clock(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{milliseconds:03}"


FORMATS: dict[str, Callable[[Sequence[Sequence[Interval]]], str]] = {".srt": as_srt, ".vtt": as_vtt, ".json": as_json}
