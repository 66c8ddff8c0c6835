"""Job arrays and a training of several nodes on a real Slurm, which tools/start_slurm.sh starts on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from counting import RECIPES, ROOT, Array
from tiny import tiny_frame_pack

RUN, NANO, SCRIPT = ROOT / "egs/mini/run.sh", ROOT / "latent_tts/models/nano", ROOT / "tools/start_slurm.sh"
lacking = [name for name in ("slurmctld", "slurmd", "munged") if not shutil.which(name, path="/usr/sbin:/usr/bin")]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(lacking), reason=f"no {', '.join(lacking)}: apt-get install slurm-wlm munge"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Slurm's daemons are started as root"),
    pytest.mark.skipif(find_spec("submitit") is None, reason="needs submitit, of the extra train"),
]


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory) -> Iterator[None]:
    """Two virtual nodes with two processors each; nothing of them is left afterwards."""
    folder = tmp_path_factory.mktemp("slurm")
    said = subprocess.run([SCRIPT, folder], check=True, capture_output=True, text=True).stdout
    again = subprocess.run([SCRIPT, folder], check=True, capture_output=True, text=True).stdout
    assert said == again == f"export SLURM_CONF={folder}/slurm.conf\n"
    daemons = [int(path.read_text()) for path in folder.glob("*.pid")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", f"{folder}/slurm.conf")
        yield
    subprocess.run([SCRIPT, "--stop", folder], check=True)
    assert len(daemons) == 4 and not folder.exists()
    for daemon in daemons:
        state = Path(f"/proc/{daemon}/stat")
        assert not state.exists() or state.read_text().split()[2] == "Z", "a daemon is left"


def queue() -> list[str]:
    asked = ["squeue", "--me", "-h", "-r", "-o", "%i"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()


def wait_for(*paths: Path) -> None:
    end = time.monotonic() + 120
    while not all(path.exists() and path.stat().st_size for path in paths):
        assert time.monotonic() < end, f"{paths} did not come"
        time.sleep(0.05)


def recipe(folder: Path, *options: object) -> subprocess.Popen:
    command = [RUN, "--work_dir", folder, "--python", sys.executable, "--voices", "1 0.9", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def test_a_stage_of_mini_whose_job_is_killed(tmp_path):
    """encode as an array of four jobs, one of them cancelled while it runs: run again, only that one is done again, and
    the frames are those that one process makes."""
    alone, array = tmp_path / "alone", tmp_path / "array"
    for part in ("codec", "aligner"):
        (alone / f"exp/{part}/eval").mkdir(parents=True)
        (alone / f"exp/{part}/model").symlink_to(NANO)
        for left in ("train.done", "eval/score.json"):
            (alone / f"exp/{part}/{left}").touch()
    process = recipe(alone, "--stage", 1, "--stop_stage", 4)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    shutil.copytree(alone, array, symlinks=True)
    shutil.rmtree(array / "dump/codec/train")

    onto_slurm = ("--stage", 4, "--stop_stage", 4, "--cluster", "slurm", "--nj", 4)
    log, frames = array / "exp/log", array / "dump/codec/train"
    process = recipe(array, *onto_slurm)
    wait_for(log / "encode_train.2.log", log / "encode_train.jobs/2.of.4.id")
    subprocess.run(["scancel", (log / "encode_train.jobs/2.of.4.id").read_text()], check=True)
    said = process.communicate()[0]
    assert process.returncode == 2 and "encode_train: 1 of 4 parts failed" in said, said
    assert sorted(path.name for path in frames.glob("clips.json*")) == [f"clips.json.{i}.of.4" for i in (1, 3, 4)]
    logs = {path: path.read_text() for path in log.glob("encode_train.[134].log")}

    process = recipe(array, *onto_slurm)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    assert len(logs) == 3 and all(path.read_text() == text for path, text in logs.items()), "done twice"
    assert (log / "encode_train.2.log").read_text().count("\n# ") == 1, "its second run follows its first"
    assert not (log / "encode_train.jobs").exists() and not queue()
    made = {path.name: path.read_bytes() for path in frames.iterdir()}
    assert made == {path.name: path.read_bytes() for path in (alone / "dump/codec/train").iterdir()}


def test_jobs_that_still_run_are_waited_for(tmp_path):
    """The runner is killed while its jobs run: run again, it submits nothing and does nothing twice."""
    array, onto_slurm = Array(tmp_path), ("--cluster", "slurm", "--slurm", "time=10")
    process = array.start(3, "--seconds", 1.5, runner=onto_slurm)
    marks = tmp_path / "log/count.jobs"
    wait_for(*(marks / f"{i}.of.3.id" for i in (1, 2, 3)), tmp_path / "log/count.1.log")
    process.kill()
    process.communicate()
    before = queue()
    assert len(before) == 3
    process = array.start(3, "--seconds", 1.5, runner=onto_slurm)
    time.sleep(1)
    assert set(queue()) <= set(before), "submitted again"
    said = process.communicate()[1]
    assert process.returncode == 0, said
    assert array.done == "abcdefg" and len(json.loads(array.out.read_text())) == 7


def test_what_slurm_refuses(tmp_path):
    """After what sbatch itself says, one line says what to do."""
    array = Array(tmp_path)
    for setting, line in (("partition=none", "Slurm took no jobs"), ("color=red", "--slurm takes what sbatch does")):
        process = array.start(2, runner=("--cluster", "slurm", "--slurm", setting))
        said = process.communicate()[1]
        assert process.returncode == 2 and line in said.splitlines()[-1] and "Traceback" not in said, said


def test_a_training_on_two_nodes(tmp_path, monkeypatch):
    """One process on each, joined by DDP; each has its log."""
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")  # the nodes' names are not known to this machine's resolver
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for split in ("train", "valid"):
        tiny_frame_pack(tmp_path / split)
    sizes = {"frame_dim": 6, "dim": 16, "layers": 1, "heads": 2, "text_dim": 16, "head_dim": 16, "head_layers": 1}
    task = {"lm": sizes, "training": {"steps": 4, "batch_frames": 200, "warmup": 1}}
    (tmp_path / "lm.yaml").write_text(yaml.safe_dump({"task": task}))
    start = [RECIPES / "launch.py", "--nodes", 2, "--name", "train", "--logs", tmp_path / "log", "--"]
    train = [RECIPES / "train.py", "lm", "--config", tmp_path / "lm.yaml", "--data", tmp_path]
    train += ["--exp", tmp_path / "exp", "--fit.accelerator", "cpu", "--fit.nodes", 2]
    command = [sys.executable, *start, sys.executable, *train, "--fit.progress", "false", "--fit.precision", "32"]
    (tmp_path / "log").mkdir()
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "train: lm: 4 steps in" in ended.stderr and (tmp_path / "exp/train.done").exists()
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == ["train.0.log", "train.1.log"]
    assert "train: lm:" not in (tmp_path / "log/train.1.log").read_text(), "a process that met no other speaks"
