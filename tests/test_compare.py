"""recipes/compare.sh: systems matched with codecs, tables of pooled seeds, and all of it on egs/mini's corpus."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny import LATENT_DIM, tiny_codec

from latent_tts.evaluate.trials import read_trials
from latent_tts.model_dir import save_part
from latent_tts.model_files import SHIPPED

ROOT = Path(__file__).parent.parent
CONF = Path(__file__).parent / "conf/compare"
COMPARE, COMPARE_CORPUS = ROOT / "recipes/compare.sh", ROOT / "recipes/compare_corpus.sh"
MINI, LIBRISPEECH = ROOT / "egs/mini/compare.sh", ROOT / "egs/librispeech/compare.sh"


def run(*command: object, status: int = 0) -> str:
    """A command to its end, without any PYTHONPATH -> what it said."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def sources(tmp_path) -> list[object]:
    """Codecs of both kinds, and where packs of their frames would be."""
    options: list[object] = []
    for kind in ("rvq", "sigma_vae"):
        save_part(tmp_path / kind, "codec", tiny_codec(kind=kind))
        options += ["--source", tmp_path / kind, tmp_path / f"pack_{kind}"]
    return options


def settings(path: Path, **lm: object) -> Path:
    path.write_text(yaml.safe_dump({"task": {"lm": {"dim": 32, "heads": 2, "layers": 1, **lm}}}))
    return path


def test_a_system_gets_the_codec_whose_frames_it_speaks(tmp_path, sources, stage, capsys):
    """By what a frame is, not by a name; a model without a solver has one number of steps."""
    plan = f"{tmp_path}/sigma_vae\t{tmp_path}/pack_sigma_vae\t"
    for head, steps in (("ddpm", "10 2 5"), ("energy", "10")):
        config = settings(tmp_path / "lm_any.yaml", frame_dim=LATENT_DIM, head=head)
        assert stage("plan_system", "--config", config, *sources, "--steps", 10, 2, 5) == 0
        assert capsys.readouterr().out == plan + steps + "\n"


def test_a_system_without_a_codec_is_one_line(tmp_path, sources, stage, capsys):
    config = settings(tmp_path / "lm_any.yaml", frame_dim=7)
    assert stage("plan_system", "--config", config, *sources) == 2
    said = capsys.readouterr().err
    assert f"7 floats, but there is only {tmp_path}/rvq with 3 codes of 32, {tmp_path}/sigma_vae with 6 floats" in said
    assert said.count("\n") == 1


def score_file(path: Path, similarity: float, errors: int) -> None:
    """A score of two utterances of ten words, with so many words skipped in the second."""
    row = {"chars": 40, "char_errors": 0, "words": 10, "repeated": 0, "inserted": 0, "dnsmos_ovrl": 3.0}
    each = [
        row | {"id": str(i), "wer": n / 10, "word_errors": n, "skipped": n, "similarity": similarity}
        for i, n in enumerate((0, errors))
    ]
    names = "wer cer share_over_half share_skipped share_repeated share_inserted similarity dnsmos_ovrl".split()
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"recogniser": "r", "extractor": "e", "each": each, **dict.fromkeys(names, 0)}))


@pytest.fixture
def work_dir(tmp_path) -> Path:
    """What compare.sh leaves of two systems with two seeds: one has a solver, the other is half as fast."""
    times: dict[str, dict] = {}
    for name, points, lr in (("solved", (10, 2), 1e-3), ("drawn", (10,), 5e-4)):
        for seed in (0, 1):
            exp = tmp_path / name / f"seed_{seed}"
            for steps in points:
                score_file(exp / "prefix" / f"steps_{steps}" / "score.json", 0.5 + seed / 10, 4)
            calls = [{"first": first, "last": first + 50, "seconds": 60 + 60 * seed} for first in (0, 150)]
            (exp / "train.json").write_text(json.dumps({"parameters": 8_100_000, "calls": calls}))
            groups = {"training": {"steps": 200, "lr": lr, "seed": seed}, "cloning": {"longest": 375}}
            (exp / "config.yaml").write_text(yaml.safe_dump({"task": groups}))
        spread = {"median": 0.25, "min": 0.2, "max": 0.3}
        costs = {"decoding_steps": 12.5, "network_evaluations": 262.5, "real_time": spread}
        times[name] = {str(steps): costs for steps in points}
    score_file(tmp_path / "recordings/prefix/score.json", 0.9, 1)
    about = {"machine": {"cpu": "a CPU", "load": 0.1}, "settings": {"rounds": 7, "engine": "torch", "threads": 2}}
    (tmp_path / "times.json").write_text(json.dumps(about | {"systems": times}))
    return tmp_path


def test_the_table_pools_seeds(work_dir, stage, capsys):
    systems = ["--systems", "solved", "drawn", "--seeds", 0, 1, "--lists", "prefix", "--steps", 10]
    assert stage("compare_table", "--work_dir", work_dir, *systems) == 0
    text = capsys.readouterr().out
    assert text == (work_dir / "table.md").read_text()
    assert "Training: steps 200; longest 375.\nDifferent: lr 0.001 (solved), 0.0005 (drawn).\n" in text
    rows = [[line.strip("| ").split(" | ") for line in part.splitlines()] for part in text.split(":\n\n")]
    tables = [[row for row in part if len(row) > 1] for part in rows[1:]]
    head, _, recordings, solved, drawn = tables[0]
    assert [row[:3] for row in (recordings, solved, drawn)] == [
        ["recordings", "2", "-"], ["solved", "2", "2"], ["drawn", "2", "2"]
    ]  # fmt: skip
    cells = dict(zip(head, solved))
    assert cells["WER %"] == "20.0 [0.0, 40.0]" and cells["skips in %"] == "50 [0, 100]"
    assert cells["similarity (Resemblyzer)"] == "0.550 [0.500, 0.600]" and dict(zip(head, recordings))["RTF"] == "-"
    assert [cells[name] for name in ("RTF", "steps / s", "evaluations / s")] == ["0.250 [0.200, 0.300]", "12.5", "262"]
    assert (cells["M parameters"], cells["training min"]) == ("8.1", "6.0"), "100 of 200 steps took 2 or 4 minutes"
    assert [row[0] for row in tables[1][2:]] == ["solved, 2", "solved, 10", "drawn, 10"]
    for plot in ("steps", "speed"):
        assert (work_dir / f"plots/{plot}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--conf_dir", "none"], "--conf_dir: no folder 'none'"),
        (["--frames", ""], "--frames, --codes or --codecs is wanted"),
        (["--trials", "none.tsv"], "--trials: no file 'none.tsv'"),
        (["--trials", f"{CONF}/lm_prefix.yaml {CONF}/lm_prefix.yaml"], "two lists have one name"),
        (["--systems", "prefix other"], f"no {CONF}/lm_other.yaml"),
        (["--python", "/nowhere/python"], "/nowhere/python does not run"),
        (["--seed", "1"], "no option --seed"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path, options, line):
    sound = ["--conf_dir", CONF, "--frames", "f", "--trials", CONF / "lm_prefix.yaml", "--python", sys.executable]
    said = run(COMPARE, *sound, "--work_dir", tmp_path / "work", *options, status=2)
    assert said.startswith("compare.sh: error: ") and line in said and said.count("\n") == 1
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--work_dir", ""], "--work_dir is wanted"),
        (["--codec", "none"], "--codec: no model directory 'none'"),
        (["--aligner", "none"], "--aligner: no model directory 'none'"),
        (["--rvq_codec", "none"], "--rvq_codec: no model directory 'none'"),
        ([], "no none/dump/audio/train/phones.json; stage 2 of the recipe leaves it"),
    ],
)
def test_what_a_corpus_lacks_is_one_line(options, line):
    said = run(COMPARE_CORPUS, "--work_dir", "none", "--conf_dir", CONF, "--python", sys.executable, *options, status=2)
    assert said.startswith("compare_corpus.sh: error: ") and line in said and said.count("\n") == 1


def test_librispeech_is_compared_on_its_own_codecs(tmp_path):
    """Each in turn is named where it lacks."""
    for name in ("codec_nano", "aligner", "codec_rvq"):
        said = run(LIBRISPEECH, "--work_dir", tmp_path, "--python", sys.executable, status=2)
        assert f"no model directory '{tmp_path}/exp/{name}/model'" in said
        shutil.copytree(SHIPPED, tmp_path / f"exp/{name}/model")
    said = run(LIBRISPEECH, "--work_dir", tmp_path, "--python", sys.executable, status=2)
    assert f"no {tmp_path}/dump/audio/train/phones.json" in said


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("mini/ablate_codec.sh", "--audio: no audio packs at ''"),
        ("mini/ablate_data.sh", "--frames: no frame packs at ''"),
        ("mini/ablate_frames.sh", "no list of trials at none/data/cross.tsv"),
        ("closed/frames.sh", "no list of trials at none/data/cross.tsv"),
    ],
)
def test_what_an_ablation_lacks_is_one_line(script, line):
    said = run(ROOT / "egs" / script, "--work_dir", "none", "--python", sys.executable, status=2)
    assert ".sh: error: " in said and line in said and said.count("\n") == 1 and not Path("none").exists()


@pytest.mark.slow
def test_from_a_codec_to_what_is_spoken_through_it(tmp_path):
    """By the commands of egs/mini's README: two codecs, and a language model on the frames of each."""
    python = ("--python", sys.executable)
    run(MINI.parent / "run.sh", "--work_dir", tmp_path, "--init", SHIPPED, "--stop_stage", 4, *python)
    data, audio, out = tmp_path / "data", tmp_path / "dump/audio", tmp_path / "exp/frames"
    align, trials = (ROOT / "recipes" / name for name in ("align.py", "make_trials.py"))
    run(sys.executable, align, "--pack", audio / "test", "--aligner", SHIPPED)
    where = ("--references", data / "test", "--pack", audio / "test", "--lengths", 2, 20)
    run(sys.executable, trials, "--protocol", "cross", *where, "--count", 2, "--out", data / "cross.tsv")
    options = ("--work_dir", tmp_path, "--variants", "sigma_0 base", "--seeds", "0")
    options += ("--lm_config", CONF / "lm_aligned.yaml", "--voices", "1 0.92", "--encoding", "--exclude 19 27")
    options += ("--codec_fit", f"--init {SHIPPED} --task.training.steps 1 --task.training.batch_size 1")
    options += ("--steps", "1", "--timing", "--rounds 1 --count 1", *python)
    said = run(MINI.parent / "ablate_frames.sh", *options)
    assert "Traceback" not in said
    assert all(f"| {name} | 2 |" in (out / "codecs/table.md").read_text() for name in ("sigma_0", "base"))
    assert all(f"| {name} | 2 | 1 |" in (out / "lm/table.md").read_text() for name in ("sigma_0", "base"))
    noise = {name: np.load(out / f"codecs/{name}/frames/train/noise.npy") for name in ("sigma_0", "base")}
    assert not noise["sigma_0"].any() and (noise["base"] > 0).all()
    for split, voices in (("train", {"0", "1"}), ("valid", {"0"})):
        clips = json.loads((out / f"codecs/base/frames/{split}/clips.json").read_text())
        assert {speaker.partition("@")[2] for speaker, *_ in clips} == voices
        assert clips and not any(speaker.startswith(("19", "27")) for speaker, *_ in clips)


@pytest.mark.slow
def test_from_recordings_to_a_table(tmp_path):
    """By the commands of egs/mini's README. One system has a codec of its own; its frames are made."""
    run(MINI.parent / "run.sh", "--work_dir", tmp_path, "--stop_stage", 2, "--python", sys.executable)
    work, own = tmp_path / "exp/compare", tmp_path / "codecs/prefix"
    own.mkdir(parents=True)
    (own / "model").symlink_to(SHIPPED)
    options = ("--work_dir", tmp_path, "--conf_dir", CONF, "--systems", "aligned prefix", "--count", 2)
    options += ("--seeds", "0 1", "--steps", "2 1", "--timing", "--rounds 1 --count 1")
    options += ("--codecs", tmp_path / "codecs", "--python", sys.executable)
    said = run(MINI, *options)
    assert "Traceback" not in said
    table = (work / "table.md").read_text()
    assert table in said and all(
        f"| {row} |" in table for row in ("recordings | 2 | -", "aligned | 2 | 2", "prefix | 2 | 2")
    )
    assert "| aligned, 1 | 2 |" in table and "Different: nothing." in table
    weights = [(work / f"aligned/seed_{seed}/model/lm.safetensors").read_bytes() for seed in (0, 1)]
    assert weights[0] != weights[1]
    told = {name: yaml.safe_load((work / f"{name}/seed_0/config.yaml").read_text()) for name in ("aligned", "prefix")}
    assert {name: Path(each["data"]) for name, each in told.items()} == {
        "aligned": tmp_path / "dump/frames", "prefix": own / "frames"
    }  # fmt: skip
    record = json.loads((work / "prefix/seed_1/train.json").read_text())
    assert [(call["first"], call["last"]) for call in record["calls"]] == [(0, 4)] and record["parameters"] > 0
    spoken = {path.stem for path in (work / "prefix/seed_1/cross/steps_1/wav").glob("*.wav")}
    assert spoken == {trial.id for trial in read_trials(tmp_path / "data/cross.tsv")}
    before = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()}
    run(MINI, *options)
    changed = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert {path.name for path in changed} <= {"table.md", "steps.png", "speed.png"}, "what is done is skipped"
