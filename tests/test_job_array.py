"""Stages done in parts: shares and names, the runner with processes of this machine, and the same files in the end."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from counting import RECIPES, Array
from hypothesis import given
from hypothesis import strategies as st

from latent_tts.errors import UserError


@pytest.fixture
def stages(monkeypatch):
    """recipes/stage.py."""
    monkeypatch.syspath_prepend(str(RECIPES))
    import stage

    return stage


class TestParts:
    @given(st.integers(0, 30), st.integers(1, 8))
    def test_nothing_is_lost_and_nothing_comes_twice(self, size, count):
        sys.path.insert(0, str(RECIPES))
        from stage import Part

        items = list(range(size))
        parts = [Part.parse(f"{number}/{count}") for number in range(1, count + 1)]
        shares = [part.share(items) for part in parts]
        assert sorted(item for share in shares for item in share) == items
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        assert len({part.of(Path("x/y.json")) for part in parts}) == count

    def test_names(self, stages):
        assert stages.Part.parse("2/8").of(Path("d/clips.json")) == Path("d/clips.json.2.of.8")
        assert stages.Part().of(Path("d/clips.json")) == Path("d/clips.json") and stages.Part().share("abc") == [*"abc"]

    @pytest.mark.parametrize("wrong", ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", "-1/2"])
    def test_no_part(self, stages, wrong):
        with pytest.raises(UserError, match="want I/N with I from 1 to N"):
            stages.Part.parse(wrong)

    def test_a_missing_part_is_named(self, stages, tmp_path):
        left = tmp_path / "x.json"
        (tmp_path / "x.json.1.of.2").write_text("{}")
        options = argparse.Namespace(part=None, merge=2)
        with pytest.raises(UserError, match=r"of 2 parts 1 are missing, \S*/x.json.2.of.2 is one"):
            stages.in_parts(options, left, pytest.fail, pytest.fail)
        assert (tmp_path / "x.json.1.of.2").exists()

    def test_what_is_there_is_kept(self, stages, tmp_path):
        left = tmp_path / "x.json"
        (tmp_path / "x.json.1.of.2").write_text("{}")
        stages.in_parts(argparse.Namespace(part="1/2", merge=None), left, pytest.fail, pytest.fail)
        left.write_text("{}")
        for part, merge in ((None, None), ("2/2", None), (None, 2)):
            stages.in_parts(argparse.Namespace(part=part, merge=merge), left, pytest.fail, pytest.fail)
        assert [path.name for path in tmp_path.iterdir()] == ["x.json"], "leftovers go when all is done"


@pytest.fixture
def array(tmp_path) -> Array:
    return Array(tmp_path)


class TestRunner:
    def test_parts_side_by_side(self, array):
        assert "count: 3 of 3 parts done" in array.run()
        assert json.loads(array.out.read_text()) == {letter: ord(letter) for letter in "abcdefg"}
        assert array.done == "abcdefg"
        for number, letters in enumerate(("adg", "be", "cf"), start=1):
            said = array.log(number)
            assert f"--part {number}/3" in said.splitlines()[0] and f"count: 1/{len(letters)} letter" in said
        assert {path.name for path in array.folder.iterdir()} == {"count.py", "counts.json", "done", "log"}
        assert {path.name for path in (array.folder / "log").iterdir()} == {f"count.{i}.log" for i in (1, 2, 3)}

    def test_one_fails_and_is_done_again_alone(self, array):
        (array.folder / "broken").write_text("e")
        said = array.run(status=2)
        assert f"{array.folder}/log/count.2.log: count: error: cannot count e\n" in said
        assert said.splitlines()[-1].startswith("job_array: error: count: 1 of 3 parts failed")
        assert not array.out.exists() and array.done == "abcdfg"
        (array.folder / "broken").unlink()
        (array.folder / "done").unlink()
        before = array.log(1)
        assert "1 of 1 parts done" in array.run()
        assert array.done == "be" and array.log(1) == before and len(json.loads(array.out.read_text())) == 7

    def test_another_command_is_another_job(self, array):
        """Marks are of the command that left them."""
        (array.folder / "broken").write_text("e")
        array.run(status=2)
        (array.folder / "broken").unlink()
        (array.folder / "counts.json.1.of.3").unlink()
        array.run(3, "--seconds", "0.0")
        assert array.done == "".join(sorted("abcdfg" + "adg" + "be")), "the third part's output was there"
        assert len(json.loads(array.out.read_text())) == 7

    def test_a_part_that_vanished_is_done_again(self, array):
        """Its mark alone does not count: joining says so, and the next run asks every part."""
        (array.folder / "broken").write_text("e")
        array.run(status=2)
        (array.folder / "counts.json.1.of.3").unlink()
        (array.folder / "broken").unlink()
        assert "could not be joined" in array.run(status=2)
        array.run()
        assert len(json.loads(array.out.read_text())) == 7

    def test_killed_it_waits_for_what_still_runs(self, array):
        """SIGKILL of the runner alone: its parts go on, and nothing of them is done twice."""
        process = array.start(3, "--seconds", 0.3)
        while not all((array.folder / f"log/count.{i}.log").exists() and "letter" in array.log(i) for i in (1, 2, 3)):
            time.sleep(0.02)
        process.kill()
        process.communicate()
        array.run(3, "--seconds", 0.3)
        assert array.done == "abcdefg" and len(json.loads(array.out.read_text())) == 7

    def test_broken_off_it_stops_its_parts(self, array):
        process = array.start(3, "--seconds", 5)
        while not (array.folder / "log/count.3.log").exists():
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        before = time.monotonic()
        process.communicate(timeout=60)
        assert process.returncode and time.monotonic() - before < 30 and not array.out.exists()

    def test_gpus_are_dealt(self, stage, tmp_path):
        say = 'echo "gpu $CUDA_VISIBLE_DEVICES"'
        options = ("--nj", 3, "--ngpu", 2, "--name", "gpus", "--logs", tmp_path)
        assert stage("job_array", *options, "--", "sh", "-c", say) == 0
        assert [(tmp_path / f"gpus.{i}.log").read_text().split()[-1] for i in (1, 2, 3)] == ["0", "1", "0"]

    def test_marks_of_other_machines_come_late(self, stages, tmp_path):
        import places

        place, mark = places.Local(), tmp_path / "1.of.1.done"
        assert places.lacking([mark], place) == [mark]
        place.patience = 30.0
        threading.Timer(0.7, mark.touch).start()
        assert places.lacking([mark], place) == []

    @pytest.mark.parametrize(
        ("options", "line"),
        [(["--nj", "0"], "want a number from 1 on"), (["--cluster", "slurm", "--slurm", "quick"], "want KEY=VALUE")],
    )
    def test_wrong_options_are_one_line(self, stage, tmp_path, capsys, options, line):
        status = stage("job_array", "--nj", 2, "--name", "x", "--logs", tmp_path, *options, "--", "true")
        said = capsys.readouterr().err
        assert status == 2 and line in said and said.count("\n") == 1

    def test_without_slurm(self, stage, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("PATH", "/nowhere")
        options = ("--nj", 2, "--name", "x", "--logs", tmp_path, "--cluster", "slurm")
        status = stage("job_array", *options, "--", sys.executable)
        said = capsys.readouterr().err
        assert status == 2 and ("no srun on this machine" in said or "needs submitit" in said) and said.count("\n") == 1
