"""Long jobs: what is killed goes on, what is done is kept, what fails is told, and nothing is done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latent_tts import audio
from latent_tts.cli.options import COMMENT
from latent_tts.errors import UserError
from latent_tts.frames import Sampling
from latent_tts.studio import batch as batching
from latent_tts.studio.batch import Job, Worker, plan, run
from latent_tts.studio.ledger import Ledger
from latent_tts.studio.manifests import Row
from latent_tts.voices import VoiceStore

ROOT = Path(__file__).parents[2]
WORDS = "one two three four five six seven eight".split()
ROWS = [Row(f"r{i:02}", f"{word}.", seed=i) for i, word in enumerate(WORDS)]


@pytest.fixture
def job(tmp_path, tiny_folder, sound_file, syllables) -> Job:
    sampling = Sampling(steps=2, guidance=1.0)
    reference = sound_file("ref.wav", syllables())
    folders = {"model": tiny_folder, "voices": tmp_path / "v"}
    return Job(tmp_path / "out", reference, sampling=sampling, takes=2, rows=3, **folders)


def ledger(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text("utf-8").splitlines()]


def sounds(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "ledger.jsonl"}


def test_every_row_becomes_a_file(job):
    counts = []
    outcome = run(ROWS, job, heard=counts.append)
    assert sorted(outcome.done) == [row.id for row in ROWS] and not outcome.failed and sum(counts) == len(ROWS)
    entries = ledger(job.out)
    assert "settings" in entries[0] and sorted(entry["id"] for entry in entries[1:]) == sorted(outcome.done)
    for entry in entries[1:]:
        assert audio.seconds(job.out / entry["file"]) == pytest.approx(entry["seconds"], abs=1e-3)
        assert entry["sentences"][0]["takes"] == 2 and entry["sentences"][0]["clarity"] < 1


def test_a_row_is_what_it_is_alone(job, tts):
    run(ROWS, job)
    row = ROWS[5]
    alone = replace(job, out=job.out.with_name("alone"))
    run([row], alone)
    one, other = (audio.read(folder / f"{row.id}.wav")[0] for folder in (job.out, alone.out))
    assert one.shape == other.shape and abs(one - other).max() < 1e-3
    seeds = {entry["id"]: entry["sentences"][0]["seed"] for entry in ledger(job.out)[1:]}
    assert len(set(seeds.values())) == len(ROWS)


def test_done_is_done(job):
    run(ROWS, job)
    before, written = sounds(job.out), len(ledger(job.out))
    outcome = run(ROWS, job)
    assert not outcome.done and len(outcome.before) == len(ROWS)
    assert sounds(job.out) == before and len(ledger(job.out)) == written


def test_what_is_lost_is_made_again(job):
    """A file that was removed, one that was cut short, and a row that was changed."""
    run(ROWS, job)
    before = sounds(job.out)
    (job.out / "r03.wav").unlink()
    (job.out / "r04.wav").write_bytes(before["r04.wav"][:100])
    changed = [replace(row, text="Something else.") if row.id == "r05" else row for row in ROWS]
    assert sorted(run(ROWS, job).done) == ["r03", "r04"] and sounds(job.out) == before
    assert run(changed, job).done == ["r05"]


def test_bad_rows_are_told_and_the_others_made(job):
    bad = [Row("x1", "!?"), Row("x2", "Hi.", reference=Path("nowhere.wav")), Row("x3", "Hi.", voice="nobody")]
    bad += [Row("x4", "Hi [pause:1h]."), Row("x5", "7" * 100_000)]
    outcome = run([*ROWS[:3], *bad], job)
    assert sorted(outcome.done) == ["r00", "r01", "r02"] and sorted(outcome.failed) == ["x1", "x2", "x3", "x4", "x5"]
    assert "no such file" in outcome.failed["x2"] and "no voice 'nobody'" in outcome.failed["x3"]
    again = run([*ROWS[:3], *bad], job)
    assert not again.done and sorted(again.failed) == sorted(outcome.failed)


def test_voices_and_marks(job, tts, voice):
    VoiceStore(job.voices).save("anna", voice)
    rows = [Row("a", "Hi.", voice="anna"), Row("b", "[voice:anna]Hi."), Row("c", "Hi.")]
    assert len(run(rows, job).done) == 3
    one, two, _ = (audio.read(job.out / f"{name}.wav")[0] for name in "abc")
    assert one.shape == two.shape and abs(one - two).max() < 1e-3


def test_other_settings_are_refused(job):
    run(ROWS[:1], job)
    for change in ({"takes": 1}, {"sampling": Sampling(steps=3)}, {"kind": ".flac"}):
        with pytest.raises(UserError, match=f"was made with {next(iter(change))}"):
            run(ROWS[:1], replace(job, **change))


def test_voices_rehearse(job):
    """If they are asked to, which is another setting; what was spoken before there was the choice goes on."""
    assert "rehearse" not in job.settings() and replace(job, rehearse=True).settings()["rehearse"]
    worker = Worker(replace(job, rehearse=True))
    voice = worker.clone("", job.reference, "")
    assert voice.transport is not None and Worker(job).clone("", job.reference, "").transport is None
    worker.store.save("anna", replace(voice, transport=None))
    assert np.array_equal(worker.clone("anna", None, "").transport, voice.transport)


def test_two_runs_in_one_folder_are_refused(job):
    job.out.mkdir()
    with Ledger(job.out, {}), pytest.raises(UserError, match="another run"):
        run(ROWS, job)


def test_a_torn_ledger_is_read(job):
    run(ROWS[:4], job)
    path = job.out / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    outcome = run(ROWS[:4], job)
    assert len(outcome.done) == 1 and len(outcome.before) == 3
    assert run(ROWS[:4], job).done == []


def test_a_full_disk_stops_the_run_and_loses_nothing(job, monkeypatch):
    """A file of the second batch cannot be written: the first batch is kept, and the next run makes the rest."""
    run(ROWS, job)
    wanted, write, count = sounds(job.out), audio.write, []
    small = replace(job, out=job.out.with_name("small"))

    def full(path, *rest, **more):
        count.append(path)
        if len(count) == 5:
            raise UserError(f"{path} cannot be written (No space left on device); nothing was left there")
        return write(path, *rest, **more)

    monkeypatch.setattr(batching.audio, "write", full)
    with pytest.raises(UserError, match="No space left"):
        run(ROWS, small)
    assert len(ledger(small.out)) == 4
    monkeypatch.undo()
    assert len(run(ROWS, small).done) == len(ROWS) - 3 and sounds(small.out) == wanted


def test_what_no_process_can_use_is_said(job, tmp_path):
    """As with one process: a lexicon that is not there is no reason to blame the memory."""
    with pytest.raises(UserError, match="cannot read the lexicon"):
        run(ROWS, replace(job, lexicon=tmp_path / "nowhere.txt", threads=1), nj=2)


def test_a_plan_is_of_all_rows_and_never_too_long():
    rows = [Row(str(i), "a" * (i % 7 * 3000 + 1)) for i in range(40)]
    batches = plan(rows, 8)
    assert sorted(row.id for batch in batches for row in batch) == sorted(row.id for row in rows)
    assert all(len(batch) <= 8 and sum(len(row.text) for row in batch) < batching.LONGEST_BATCH for batch in batches)
    assert plan(list(reversed(rows)), 8) == batches


def test_killed_and_run_again_it_leaves_the_same(job, tmp_path):
    """SIGKILL at two moments, with two processes: none stays behind, and the files are those of an undisturbed run in
    one process, each made once."""
    manifest = tmp_path / "rows.jsonl"
    manifest.write_text("".join(json.dumps({"id": r.id, "text": r.text, "seed": r.seed}) + "\n" for r in ROWS))
    job = replace(job, threads=1, rows=2, comment=COMMENT)
    killed, whole = (replace(job, out=tmp_path / name) for name in ("killed", "whole"))
    command = [sys.executable, "-m", "latent_tts", "batch", manifest, "-o", killed.out, "--nj=2", "--rows=2"]
    command += ["--model", job.model, "--reference", job.reference, "--steps=2", "--guidance=1", "--takes=2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for wanted in (1, 4):
        running = subprocess.Popen(list(map(str, command)), env=environment, stderr=subprocess.PIPE)
        while running.poll() is None and lines_of(killed.out) < wanted:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
        running.stderr.read()  # ends when the last process that holds it has ended
    run(ROWS, whole)
    assert run(ROWS, killed).before and sounds(killed.out) == sounds(whole.out)
    made = [entry["id"] for entry in ledger_of_whole_lines(killed.out) if "id" in entry]
    assert sorted(made) == [row.id for row in ROWS]


def lines_of(folder: Path) -> int:
    path = folder / "ledger.jsonl"
    return path.read_bytes().count(b"\n") - 1 if path.exists() else -1


def ledger_of_whole_lines(folder: Path) -> list[dict]:
    found = []
    for line in (folder / "ledger.jsonl").read_text("utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found
