"""Long jobs: many utterances into a folder, several at a time, in several processes. Killed at any moment and run
again, a job goes on and leaves the same files.

The unit of work is a batch of rows that is the same in every run, since what is drawn together rounds together. A row
is done when the ledger says so, which is written after its file.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.frames import Sampling, Voice
from latent_tts.model_files import SHIPPED, voice_hash
from latent_tts.studio.judge import Judge
from latent_tts.studio.ledger import Ledger
from latent_tts.studio.manifests import Row, checked
from latent_tts.studio.perform import Cast, Line, perform_all, read_parts, script_of
from latent_tts.studio.takes import Booth
from latent_tts.tts import TTS
from latent_tts.voices import VoiceStore, read_voice

VOICES_KEPT = 64  # cloned voices that a process remembers
LONGEST_BATCH = 20_000  # characters that are spoken together, all of whose sound is held in memory


@dataclass(frozen=True)
class Job:
    """How the rows of a batch are spoken, and where their files go."""

    out: Path
    reference: Path  # of rows that name no voice of their own
    reference_text: str = ""
    voice: str = ""  # a saved voice, or its file, in place of the reference
    rehearse: bool = False  # all voices, before they speak
    sampling: Sampling = Sampling()
    takes: int = 3
    verify: bool = True
    whisper: Path | None = None
    markup: str = "auto"
    kind: str = ".wav"
    comment: str = ""
    rows: int = 8  # spoken together
    model: Path = SHIPPED
    device: str = "cpu"
    lexicon: Path | None = None
    voices: Path | None = None
    threads: int = 0  # that compute in each process; 0: the engine decides, several processes share the cores

    def settings(self) -> dict:
        """What decides how a row sounds, for the ledger."""
        decisive = ("sampling", "takes", "verify", "markup", "kind", "rows")
        everything = asdict(self)
        more = {"recogniser": self.whisper is not None, "model": _fingerprint(self.model, self.lexicon)}
        rehearsed = {"rehearse": True} if self.rehearse else {}  # unknown to the ledgers of before
        return {name: everything[name] for name in decisive} | more | rehearsed


class Outcome(NamedTuple):
    """What became of a job's rows."""

    done: list[str]  # now
    before: list[str]  # in an earlier run
    failed: dict[str, str]  # and why
    doubtful: list[str]  # done, with a sentence that its judge does not like


def run(rows: Iterable[Row], job: Job, nj: int = 1, heard: Callable[[int], object] = lambda count: None) -> Outcome:
    """Speak every row that is not done, with ``nj`` processes; ``heard`` is told how many rows each batch settled.

    A row that cannot be spoken is written down and passed over. UserError for rows that cannot be a batch, and where a
    file cannot be written, as on a full disk; what was done until then is kept.
    """
    rows = list(checked(rows))
    if nj < 1 or job.rows < 1:
        raise UserError(f"{nj} processes for {job.rows} rows at a time; give at least one of each")
    try:
        job.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{job.out} cannot be made a folder ({error.strerror}); give another") from None
    with Ledger(job.out, json.loads(json.dumps(job.settings()))) as ledger:
        _sweep(job.out)
        before = _done(ledger.lines, rows, job)
        batches = [(batch, left) for batch in plan(rows, job.rows) if (left := {r.id for r in batch} - before)]
        heard(len(before))
        entries: dict[str, dict] = {}
        for results in _results(batches, job, nj):
            for entry in results:
                ledger.append(entry)
                entries[entry["id"]] = entry
            heard(len(results))
    spoken = [entry for entry in entries.values() if "error" not in entry]
    return Outcome(
        [entry["id"] for entry in spoken],
        sorted(before),
        {entry["id"]: entry["error"] for entry in entries.values() if "error" in entry},
        [entry["id"] for entry in spoken if any(sentence.get("problems") for sentence in entry["sentences"])],
    )


def plan(rows: list[Row], size: int) -> list[list[Row]]:
    """Batches of up to ``size`` rows of like length, fewer of long ones; the same for the same rows."""
    batches: list[list[Row]] = []
    for row in sorted(rows, key=lambda row: (len(row.text), row.id)):
        last = batches[-1] if batches else []
        if last and len(last) < size and sum(len(other.text) for other in last) + len(row.text) < LONGEST_BATCH:
            last.append(row)
        else:
            batches.append([row])
    return batches


class Worker:
    """A process's model, and what it remembers between batches."""

    def __init__(self, job: Job):
        self.job, self.store = job, VoiceStore(job.voices)
        self.tts = TTS.from_dir(job.model, job.device, job.lexicon, threads=job.threads or None)
        judge = Judge(self.tts, job.whisper) if job.verify else None
        self.booth = Booth(self.tts, judge, job.takes if job.verify else 1)
        self.clone = lru_cache(VOICES_KEPT)(self._clone)

    def speak(self, batch: list[Row], left: set[str]) -> list[dict]:
        """The ledger's entries of those rows of a batch that are ``left``, after writing their files."""
        scripts, entries = {}, []
        for row in batch:
            try:
                scripts[row] = self._script(row)
            except UserError as error:
                entries.append({"id": row.id, "request": request(row, self.job), "error": str(error)})
        entries = [entry for entry in entries if entry["id"] in left]
        if not left & {row.id for row in scripts}:
            return entries
        for row, performance in zip(scripts, perform_all(self.booth, list(scripts.values()))):
            if row.id not in left:
                continue
            path = self.job.out / f"{row.id}{self.job.kind}"
            audio.write(path, performance.wav, self.tts.sample_rate, self.job.comment)
            about = {"id": row.id, "request": request(row, self.job), "file": path.name, "bytes": path.stat().st_size}
            about["seconds"] = round(len(performance.wav) / self.tts.sample_rate, 3)
            entries.append(about | {"sentences": [take.as_dict() for take in performance.takes]})
        return entries

    def _script(self, row: Row) -> list[Line]:
        own = self.job.sampling if row.seed is None else replace(self.job.sampling, seed=row.seed)
        return script_of(self.tts, read_parts(row.text, self.job.markup), self._cast(row), own)

    def _cast(self, row: Row) -> Cast:
        job = self.job
        given = (row.voice, row.reference, row.reference_text)
        if not (row.voice or row.reference):
            given = (job.voice, job.reference, job.reference_text)
        return lambda name: self.clone(name, None, "") if name else self.clone(*given)

    def _clone(self, voice: str, reference: Path | None, text: str) -> Voice:
        if not voice:
            return self.tts.clone(reference, text or None, rehearse=self.job.rehearse)
        found = read_voice(voice, self.store)
        self.tts.prompt([], found)  # refuses a voice of another model
        return self.tts.rehearsed(found) if self.job.rehearse else found


def request(row: Row, job: Job) -> str:
    """A fingerprint of what a row asks for: a row that was changed is spoken again."""
    asked = asdict(row) | {"reference": str(row.reference)}
    if not (row.voice or row.reference):
        asked |= {"reference": str(job.reference), "reference_text": job.reference_text, "voice": job.voice}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def _results(batches: list[tuple[list[Row], set[str]]], job: Job, nj: int) -> Iterator[list[dict]]:
    """The entries of each batch as it is done."""
    if not batches:
        return
    nj = min(nj, len(batches))
    if nj == 1:
        worker = Worker(job)
        yield from (worker.speak(batch, left) for batch, left in batches)
        return
    job = replace(job, threads=job.threads or max(1, _cores() // nj))
    with ProcessPoolExecutor(nj, multiprocessing.get_context("spawn"), _begin) as pool:
        futures = [pool.submit(_speak, job, batch, left) for batch, left in batches]
        try:
            yield from (future.result() for future in as_completed(futures))
        except BrokenProcessPool:
            raise UserError("a process of the batch died, for want of memory perhaps; go on with fewer") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _cores() -> int:
    """What this process may use, or is told to."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(told) if told.isdecimal() and int(told) else here


def _begin() -> None:
    """Make a process ready. It ends when its parent is gone, even if that was killed."""
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()


def _speak(job: Job, batch: list[Row], left: set[str]) -> list[dict]:
    return _worker(job).speak(batch, left)


@lru_cache(1)
def _worker(job: Job) -> Worker:
    """The worker of this process, made when it gets its first batch, so that what is wrong comes back as an error."""
    return Worker(job)


def _done(lines: list[dict], rows: list[Row], job: Job) -> set[str]:
    """The rows whose last entry is of the same request and whose file is there, as long as it was written."""
    last = {entry["id"]: entry for entry in lines if "id" in entry}
    done = set()
    for row in rows:
        entry = last.get(row.id, {})
        if entry.get("request") == request(row, job) and "file" in entry:
            with suppress(OSError):
                if (job.out / f"{row.id}{job.kind}").stat().st_size == entry["bytes"]:
                    done.add(row.id)
    return done


def _sweep(folder: Path) -> None:
    """Remove what a killed run left half written."""
    for part in folder.glob(".*.part"):
        with suppress(OSError):
            part.unlink()


def _fingerprint(model: Path, lexicon: Path | None) -> str:
    """Of the weights that speak and judge, and of the lexicon."""
    digest = hashlib.sha256(voice_hash(model).encode())
    for path in [*sorted(Path(model).glob("*.safetensors")), *([lexicon] if lexicon else [])]:
        with suppress(OSError):  # whoever loads it says what is wrong
            digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:16]
