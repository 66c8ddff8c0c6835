"""A score as a page that a browser opens from disk: figures, and each utterance with players, words and spectrogram."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from latent_tts.evaluate.report import COLUMNS, heading, shown
from latent_tts.evaluate.trials import Trial
from latent_tts.evaluate.wer import standardise
from latent_tts.files import write_whole

OF_ONE = {"leak": ("leaked words", 1, 0)}  # columns that say something else of one utterance than of all


class Words(NamedTuple):
    """A stretch of an alignment: what was to be said and what was heard; ``kind`` is jiwer's: equal, substitute,
    delete, insert.
    """

    kind: str
    said: str
    heard: str


def write_page(
    path: Path, name: str, score: Mapping, trials: Sequence[Trial], wav_dir: Path, pictures: Path | None = None
) -> None:
    """Write the page of what ``score_speech`` returned, whole or not at all.

    Sounds, and the PNGs ``pictures/<trial id>.png`` where there are such, are linked as they lie, by paths from the
    page's folder. Nothing is fetched from elsewhere, and every text is escaped.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder, by_id = path.parent, {trial.id: trial for trial in trials}
    columns = [key for key in COLUMNS if any(key in row for row in score["each"])]
    rows = []
    for row in score["each"]:
        picture = pictures / f"{row['id']}.png" if pictures else None
        rows.append(
            {
                **{key: row[key] for key in ("id", "speaker", "text", "seconds")},
                "words": list(alignment(row["text"], row["heard"])) if "heard" in row else [],
                "reference": _link(by_id[row["id"]].reference, folder),
                "speech": _link(wav_dir / f"{row['id']}.wav", folder),
                "picture": _link(picture, folder) if picture and picture.exists() else None,
                "values": [_value(key, row.get(key)) for key in columns],
            }
        )
    place = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = place.get_template("page.html").render(
        name=name,
        score=score,
        figures=[(heading(key, score), shown(key, score[key])) for key in COLUMNS if score.get(key)],
        columns=[OF_ONE.get(key, (heading(key, score),))[0] for key in columns],
        instruments=instruments(score),
        rows=rows,
    )
    write_whole(path, page.encode())


def alignment(text: str, heard: str) -> Iterator[Words]:
    """The words of a text and of what was heard, both standardised, side by side."""
    import jiwer

    found = jiwer.process_words(standardise(text), standardise(heard))
    (said,), (words,), (chunks,) = found.references, found.hypotheses, found.alignments
    for part in chunks:
        yield Words(
            part.type,
            " ".join(said[part.ref_start_idx : part.ref_end_idx]),
            " ".join(words[part.hyp_start_idx : part.hyp_end_idx]),
        )


def instruments(score: Mapping) -> list[tuple[str, str]]:
    """What measured and how the speech was made, as far as the score says."""
    made, bootstrap = score.get("synthesis") or {}, score["bootstrap"]
    known = [
        ("recogniser", score.get("recogniser")),
        ("speaker similarity", score["extractor"]),
        ("speaker similarity, second", score.get("xvector_extractor")),
        ("quality", "DNSMOS P.835 (speechmos)"),
        ("intervals", f"{bootstrap['level']:.0%} bootstrap, {bootstrap['draws']} draws, seed {bootstrap['seed']}"),
        ("speech", ", ".join(f"{key} {value}" for key, value in made.items())),
    ]
    return [(key, value) for key, value in known if value]


def _value(key: str, value: float | None) -> tuple[str, str]:
    """How a value sorts and how it is shown."""
    if value is None:
        return "-1", "-"
    _, scale, digits = OF_ONE.get(key, COLUMNS[key])
    return f"{value:.6g}", f"{scale * value:.{digits}f}"


def _link(path: Path, folder: Path) -> str:
    """A path from ``folder`` as an address."""
    return quote(Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix())
