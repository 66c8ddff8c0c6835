"""egs/mini/run.sh from nothing to a score, with the networks of tests/conf, and what the stages do about bad input."""

from __future__ import annotations

import importlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from tiny import LATENT_DIM, press, tiny_codec, tiny_model, tiny_whole_lm

from latent_tts import audio
from latent_tts.errors import UserError
from latent_tts.model_dir import load_codec, load_parts, save_part
from latent_tts.model_files import SHIPPED

ROOT = Path(__file__).parent.parent
RUN, RECIPES, CONF = ROOT / "egs/mini/run.sh", ROOT / "recipes", Path(__file__).parent / "conf"
STAGES = sorted(path.stem for path in RECIPES.glob("*.py") if path.stem not in ("stage", "job", "places"))
TINY = (
    *(word for part in ("codec", "aligner", "lm") for word in (f"--{part}_config", CONF / f"{part}.yaml")),
    *("--fit", "--fit.checkpoint_minutes 0.005 --fit.log_every 1 --fit.progress false"),
    *("--alignment", "--min_score -99", "--trials", "2", "--synthesis", "--steps 2"),
)


def start(*options: object, cwd: Path | None = None, run: Path = RUN) -> subprocess.Popen:
    """A recipe in a process group of its own, without any PYTHONPATH; all it says goes to one pipe."""
    return subprocess.Popen(
        [run, *map(str, ("--python", sys.executable, *options))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )


def finish(*options: object, status: int = 0, **where: Path) -> str:
    """Run a recipe to its end -> what it said."""
    process = start(*options, **where)
    said, _ = process.communicate()
    assert process.returncode == status, said
    return said


def step_of(checkpoint: Path) -> int:
    import torch

    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]["step"])


def steps_logged(exp: Path) -> list[list[int]]:
    """The steps of codec/mel on the dashboard, a list for every time the training was started."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    files = sorted((exp / "tensorboard").glob("events*"))
    return [
        [e.step for e in LegacyEventFileLoader(str(f)).Load() for v in e.summary.value if v.tag == "codec/mel"]
        for f in files
    ]


def times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


@dataclass(frozen=True)
class Run:
    """A work folder in which all stages ran; ``killed_at`` is the step of the codec's checkpoint after the SIGKILL."""

    folder: Path
    killed_at: int
    said: str

    @property
    def speech(self) -> Path:
        return self.folder / "exp/lm/speak_test"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Run:
    """All stages: killed in the training of the codec, then run to the end by the same command."""
    folder = tmp_path_factory.mktemp("mini")
    last = folder / "exp/codec/checkpoints/last.ckpt"
    process = start("--work_dir", folder, *TINY)
    while process.poll() is None and not last.exists():
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, process.stdout.read()
    killed_at = step_of(last)
    assert not (folder / "exp/codec/train.done").exists()
    return Run(folder, killed_at, finish("--work_dir", folder, *TINY))


def test_from_nothing_to_a_score(whole):
    assert re.findall(r"^stage (\d)", whole.said, re.MULTILINE) == list("012345678")
    score = json.loads((whole.speech / "score.json").read_text())
    assert score["utterances"] == 2 and score["wer"] is None and score["real_time"]["value"] > 0
    assert 1 <= score["dnsmos_ovrl"]["value"] <= 5 and -1 <= score["similarity"]["value"] <= 1
    spoken = dict(line.split() for line in (whole.speech / "wav.scp").read_text().splitlines())
    assert len(spoken) == 2
    for utt, path in spoken.items():
        wav, sample_rate = audio.read(whole.speech / path)
        assert len(wav) > 0 and sample_rate == 16000
        assert (whole.speech / "pictures" / f"{utt}.png").read_bytes().startswith(b"\x89PNG")
    assert (whole.speech / "row.md").read_text() in whole.said
    assert all(utt in (whole.speech / "report.html").read_text("utf-8") for utt in spoken)
    assert "Traceback" not in whole.said and "Warning" not in whole.said


def test_the_codec_is_scored_on_test_recordings(whole):
    folder = whole.folder / "exp/codec/eval"
    score = json.loads((folder / "score.json").read_text())
    assert list(score["systems"]) == ["original", "codec", "griffin_lim"] and score["recogniser"] is None
    assert score["numbers_per_second"] == {"codec": 100.0, "griffin_lim": pytest.approx(100, rel=0.01)}
    test = {line.split()[0] for line in (whole.folder / "data/test/wav.scp").read_text().splitlines()}
    for name, system in score["systems"].items():
        utts = [row["id"] for row in system["each"]]
        assert len(utts) == system["utterances"] == 2 and set(utts) <= test
        assert sorted(path.stem for path in (folder / "wav" / name).glob("*.wav")) == utts
    distances = [system["mel_distance"]["value"] for system in score["systems"].values()]
    assert distances[0] == 0 < min(distances[1:])
    assert sorted(path.stem for path in (folder / "pictures").glob("*.png")) == utts
    assert (folder / "row.md").read_text() in whole.said
    assert len((folder / "row.md").read_text().splitlines()) == 2 + len(score["systems"])


def test_every_command_has_its_log(whole):
    logs = re.findall(r"its log is (\S+)", whole.said)
    assert len(logs) == len(set(logs)) > 10
    for log in map(Path, logs):
        first = log.read_text().splitlines()[0]
        assert first.startswith("# ") and ".py" in first, f"{log} does not say what ran"
    assert "train: codec: resuming" in (whole.folder / "exp/log/train_codec.log").read_text()


def test_alignments_can_be_looked_at(whole):
    pack = whole.folder / "dump/audio/train"
    alignments = json.loads((pack / "alignments.json").read_text())
    lengths = {utt: span[1] / 16000 for utt, span in json.loads((pack / "index.json").read_text())["spans"].items()}
    ctm: dict[str, list[list[str]]] = {}
    for line in (pack / "alignments.ctm").read_text("utf-8").splitlines():
        ctm.setdefault(line.split()[0], []).append(line.split()[1:])
    assert ctm.keys() == alignments.keys() == lengths.keys()
    for utt, rows in ctm.items():
        assert [row[3] for row in rows] == alignments[utt]["phones"]
        covered = float(rows[0][1]) + sum(float(row[2]) for row in rows)
        assert covered == pytest.approx(lengths[utt], abs=0.001 * len(rows))
    pictures, grids = (sorted(p.stem for p in (pack / "alignments").glob(f"*.{end}")) for end in ("png", "TextGrid"))
    assert len(pictures) == 2 and grids == pictures


def test_a_killed_training_is_resumed(whole):
    steps = yaml.safe_load((CONF / "codec.yaml").read_text())["task"]["training"]["steps"]
    assert 0 < whole.killed_at < steps
    assert f"train: codec: resuming at step {whole.killed_at} of {steps}" in whole.said
    assert step_of(whole.folder / "exp/codec/checkpoints/last.ckpt") == steps
    record = json.loads((whole.folder / "exp/codec/train.json").read_text())
    (call,) = record["calls"]
    assert (call["first"], call["last"]) == (whole.killed_at, steps), "what was killed has no time"
    assert call["seconds"] > 0 and call["processes"] == 1 and record["parameters"] > 0
    first, second = steps_logged(whole.folder / "exp/codec")
    assert min(first, default=0) <= 1 and len(second) == steps - whole.killed_at
    assert min(second) >= whole.killed_at, "the second call began anew"


def test_what_is_done_is_skipped(whole):
    before, used = times(whole.folder), resource.getrusage(resource.RUSAGE_CHILDREN)
    said = finish("--work-dir", whole.folder, *TINY)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert times(whole.folder) == before
    assert after.ru_utime - used.ru_utime < 3, "seconds; one training step's imports take longer"
    assert "its log is" not in said and said.count(": done, ") == len(re.findall(": done, |its log is", whole.said))


def test_a_stage_does_what_is_left(whole):
    """Half-written files do not count, and what is spoken again is the same."""
    first, second = sorted((whole.speech / "wav").glob("*.wav"))
    before, sound = first.stat().st_mtime_ns, second.read_bytes()
    phones = whole.folder / "dump/audio/test/phones.json"
    ids = phones.read_text()
    phones.with_name("phones.json.part").write_text(ids[:20])
    for path in (second, whole.speech / "wav.scp", phones):
        path.unlink()
    said = finish("--work_dir", whole.folder, *TINY, "--stage", 2, "--stop-stage", 2)
    assert phones.read_text() == ids and "phones_test: its log" in said and "phones_train: done" in said
    said = finish("--work_dir", whole.folder, *TINY, "--stage", 7, "--stop_stage", 7)
    assert re.findall(r"^stage (\d)", said, re.MULTILINE) == ["7"] and "synthesize: 1 trials" in said
    assert second.read_bytes() == sound and first.stat().st_mtime_ns == before


def test_in_parts_the_frames_are_the_same(whole):
    """--nj 2 leaves byte for byte what one process left, a log for each part, and nothing else."""
    frames, logs = whole.folder / "dump/codec/train", whole.folder / "exp/log"
    before = {path.name: path.read_bytes() for path in frames.iterdir()}
    shutil.rmtree(frames)
    said = finish("--work_dir", whole.folder, *TINY, "--stage", 4, "--stop_stage", 4, "--nj", 2)
    assert {path.name: path.read_bytes() for path in frames.iterdir()} == before and len(before) == 3
    assert "encode_train: 2 of 2 parts done" in said and re.search(r"encode_train: \d+ s, left ", said)
    for number in (1, 2):
        part = (logs / f"encode_train.{number}.log").read_text()
        assert f"--part {number}/2" in part and re.search(r"^encode: .*times real time, .* GiB$", part, re.MULTILINE)
    assert not list(logs.glob("*.jobs"))


def test_shards_beside_the_frames(whole):
    """--shar leaves them where the language model's training finds them, and they hold the same clips."""
    frames = whole.folder / "dump/codec/train"
    finish("--work_dir", whole.folder, *TINY, "--stage", 4, "--stop_stage", 4, "--shar")
    index = json.loads((frames / "shards/shards.json").read_text())
    clips = json.loads((frames / "clips.json").read_text())
    assert index["shards"] == [[len(clips), sum(clip[2] for clip in clips)]] and index["codec"]["frame_rate"] == 12.5
    shutil.rmtree(frames / "shards")


def test_a_dry_run_runs_nothing(tmp_path):
    said = finish("--work_dir", tmp_path / "w", *TINY, "--nj", 3, "--shar", "--dry_run")
    assert not (tmp_path / "w").exists() and said.splitlines()[-1] == "tts.sh: nothing was run"
    for script in ("prepare", "train", "encode", "export_shar", "synthesize", "score"):
        assert f"/{script}.py " in said
    (encode,) = (line for line in said.splitlines() if "--name encode_train" in line)
    assert "/job_array.py --nj 3 --cluster local" in encode and " -- " in encode
    assert "/launch.py" not in said


def test_a_model_goes_on_from_data_that_is_there(tmp_path):
    """Behind its first stages a recipe asks for no corpus."""
    where = ("--init", SHIPPED, "--lm_config", CONF / "lm.yaml", "--work_dir", tmp_path)
    said = finish("--stage", 2, *where, "--dry_run", run=RECIPES / "tts.sh")
    assert f"--init {SHIPPED}" in said and "/prepare.py" not in said


def test_a_dry_run_for_a_cluster(tmp_path):
    options = ("--cluster", "slurm", "--nodes", 2, "--ngpu", 8, "--slurm", "partition=a time=60", "--dry_run")
    said = finish("--work_dir", tmp_path / "w", *TINY, *options)
    (train,) = (line for line in said.splitlines() if "--name train_lm" in line)
    assert "/launch.py --nodes 2 --tasks 8 --ngpu 8 " in train and "--slurm partition=a time=60 -- " in train
    assert "--fit.devices 8 --fit.nodes 2 " in train and said.count("--nj 1 --cluster slurm") > 5


def test_paths_count_from_where_one_stands(tmp_path):
    (tmp_path / "lm.yaml").write_text("{}")
    here = {"cwd": tmp_path, "run": Path(os.path.relpath(RUN, tmp_path))}
    finish("--work_dir", "work", "--lm_config", "lm.yaml", "--stop_stage", 0, **here)
    said = finish("--work_dir", "work", "--corpus_dir", "none", status=2, **here)
    assert said == "tts.sh: error: no corpus at 'none'; give its folder: --corpus_dir DIR\n"


@pytest.mark.parametrize("recipe", sorted(path.parent.name for path in ROOT.glob("egs/*/run.sh")))
def test_help(recipe):
    said = finish("--help", run=ROOT / f"egs/{recipe}/run.sh")
    own = (ROOT / f"egs/{recipe}/run.sh").read_text()
    script = own if "parse_options.sh" in own else (RECIPES / "tts.sh").read_text()
    (defaults,) = re.findall(r"^(?:stage=0|recordings=|rvq_codec=).*?^(?:root=|\. )", script, re.MULTILINE | re.DOTALL)
    for name in re.findall(r"(?:^|\s)([a-z_]+)=", defaults):
        assert name == "root" or f"--{name} " in said, f"--{name} is not in --help"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--stages", "3"], "no option --stages"),
        (["--PATH", "/tmp"], "no option --PATH"),
        (["--root", "/tmp"], "no option --root"),
        (["--fit.max_time", "1"], "no option --fit.max_time"),
        (["--stop-stage"], "--stop-stage needs a value"),
        (["3"], "what is 3?"),
        (["--stage", "three"], "want numbers"),
        (["--corpus", "none.yaml"], "--corpus: no file 'none.yaml'"),
        (["--corpus-dir", "/nowhere"], "no corpus at '/nowhere'"),
        (["--corpus-dir", "", "--download", "dev-clean"], "--download wants --corpus_dir DIR"),
        (["--stage", "1", "--corpus_dir", ""], "no corpus at ''"),
        (["--nj", "0"], "want numbers"),
        (["--cluster", "pbs"], "want local or slurm"),
        (["--nodes", "2"], "--nodes 2 needs --cluster slurm"),
        (["--lm-config", "none.yaml"], "--lm_config: no file 'none.yaml'"),
        (["--init", "none"], "--init: no model directory 'none'"),
        (["--python", "/nowhere/python"], "/nowhere/python does not run"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path, options, line):
    said = finish("--work_dir", tmp_path / "work", *options, status=2)
    assert said.startswith("tts.sh: error: ") and line in said and said.count("\n") == 1
    assert not (tmp_path / "work").exists()


def test_a_stage_that_fails_stops_the_recipe(tmp_path):
    """Its status is the recipe's; one that ends without what it should leave is status 3."""
    for number in (0, 7):
        program = tmp_path / f"python{number}"
        program.write_text(f'#!/bin/sh\n[ "$1" = -c ] || {{ echo said; exit {number}; }}\n')
        program.chmod(0o755)
        said = finish("--work_dir", tmp_path / "w", "--python", program, "--stage", 1, status=number or 3)
        assert said.splitlines()[-1].startswith("tts.sh: ") and "data_prep.log" in said.splitlines()[-1]
        assert "stage 2" not in said
    assert (tmp_path / "w/exp/log/data_prep.log").read_text().count("said\n") == 2


@pytest.fixture
def stage_module(monkeypatch):
    """``stage_module(name)`` is a stage."""
    monkeypatch.syspath_prepend(str(RECIPES))
    return importlib.import_module


@pytest.fixture
def stage_main(stage_module):
    """``stage_main(name)`` is the command of a stage."""
    return lambda name: stage_module(name).main


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_explains_itself(name, stage_main, capsys):
    with pytest.raises(SystemExit) as end:
        stage_main(name)(["codec", "--help"] if name == "train" else ["--help"])
    assert end.value.code == 0
    assert "--" in capsys.readouterr().out


MISSING = {
    "adopt_parts": ["--into", "out", "none"],
    "align": ["--pack", "none", "--aligner", "none"],
    "average_models": ["--models", "none=1", "--out", "out"],
    "compare_scores": ["none", "none"],
    "compare_table": ["--work_dir", "none", "--systems", "a", "--seeds", "0", "--lists", "b", "--steps", "1"],
    "doubt": ["--data", "out", "--whisper", "none", "--out", "out"],
    "encode": ["--data_dir", "none", "--pack", "none", "--codec", "none", "--out", "out"],
    "export_shar": ["--pack", "none", "--codec", "none", "--out", "out"],
    "import_shar": ["--shards", "none", "--out", "out"],
    "gather": ["codec=none"],
    "heed_text": ["--exp", "none", "--data", "none"],
    "hold_voice": ["--data", "none"],
    "get_corpus": ["--corpus", "none", "--corpus_dir", "out"],
    "job_array": ["--nj", "2", "--name", "x", "--logs", "out", "--", "none"],
    "join_frames": ["--packs", "none", "--out", "out"],
    "launch": ["--name", "x", "--logs", "out", "--", "none"],
    "learning_curves": ["a=none", "--out", "out"],
    "level_frames": ["--model", "none", "--pack", "none", "--out", "out"],
    "recorded_pieces": ["--trials", "none", "--data_dir", "none", "--wavs", "none", "--out", "out"],
    "mix_spectra": ["--trials", "none", "--out", "out"],
    "make_trials": ["--references", "none", "--sentences", "none", "--seen", "none", "--out", "out"],
    "match_frames": ["--codec", "none", "--like", "none", "--pack", "none", "--out", "out"],
    "pack_audio": ["--data_dir", "none", "--pack", "out"],
    "pack_model": ["lm", "--exp", "none", "--out", "out"],
    "perturb_codec": ["--model", "none", "--trials", "none"],
    "plan_system": ["--config", str(CONF / "lm.yaml"), "--source", "none", "none"],
    "phones": ["--data_dir", "none", "--pack", "out"],
    "prepare": ["--corpus", "none", "--corpus_dir", "none"],
    "score": ["--trials", "none", "--wavs", "none", "--out", "out"],
    "score_codec": ["--model", "none", "--trials", "none", "--out", "out"],
    "segment": ["--scp", "none", "--out", "out"],
    "show_alignments": ["--pack", "none"],
    "speak_frames": ["--model", "none", "--references", "none", "--sentences", "none", "--out", "out"],
    "synthesize": ["--trials", "none", "--out", "out"],
    "synthetic_speech": ["--sentences", "none", "--out", "out"],
    "thin_pack": ["--pack", "none", "--every", "2", "--out", "out"],
    "train": ["lm", "--data", "none", "--exp", "out"],
    "transcribe": ["--data_dir", "none", "--out", "out", "--whisper", "none"],
}


@pytest.mark.parametrize("name", STAGES)
def test_without_what_an_earlier_stage_leaves(name, stage_main, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert stage_main(name)(MISSING[name]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{name}: error: ") and "none" in said and said.count("\n") == 1


@pytest.mark.parametrize("other, said", [({"kind": "rvq"}, "linear map of codes"), ({"frame_rate": 25}, "differ")])
def test_frames_of_another_kind_are_not_matched(other, said, stage_main, tmp_path, capsys):
    for name, kind in (("codec", {}), ("like", other)):
        save_part(tmp_path / name, "codec", tiny_codec(**kind))
    folders = [f"--{name}={tmp_path / name}" for name in ("codec", "like")]
    assert stage_main("match_frames")([*folders, "--pack", "none", "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_codec_gets_the_frames_of_another(whole, stage_main, tmp_path, capsys):
    """Of one whose latents are a linear map of its own: what no recording was fitted on comes out equal, too."""
    like, codec = tiny_codec(), tiny_codec()
    with torch.no_grad():
        codec.encoder.leave.weight.copy_(codec.encoder.leave.weight.flip(0) * 1.5)
    for name, module in (("codec", codec), ("like", like)):
        save_part(tmp_path / name, "codec", module)
    folders = [f"--{name}={tmp_path / name}" for name in ("codec", "like", "out")]
    assert not stage_main("match_frames")([*folders, "--pack", str(whole.folder / "dump/audio/train"), "--count=40"])
    said = re.search(r"distance (\S+) before, (\S+) after", capsys.readouterr().err)
    assert float(said[1]) > 0.1 and float(said[2]) < 1e-3
    wav = 0.1 * torch.randn(1, 1, 12800, generator=torch.Generator().manual_seed(0))
    matched = load_codec(tmp_path / "out")
    with torch.inference_mode():
        assert torch.allclose(matched.encode(wav), like.encode(wav), atol=0.05)


@pytest.mark.parametrize("size, count", [(7, 3), (1199, 600), (600, 600), (4, 9)])
def test_recordings_are_taken_from_all_of_a_pack(stage_module, size, count):
    """As many as wanted, none far from its neighbours, or all."""
    taken = stage_module("pack_model").spread(range(size), count)
    steps = np.diff([*taken, size])
    assert len(taken) == min(size, count) and taken[0] == 0 and steps.max() - steps.min() <= 1


def test_a_model_gets_level_frames(whole, stage_main, tmp_path, capsys):
    """Of one with a direction pressed flat: the codec sounds as before, the language model sees what it saw."""
    model, out = tiny_model(tmp_path / "model"), tmp_path / "out"
    save_part(model, "codec", press(load_codec(model)))
    pack = whole.folder / "dump/audio/train"
    assert not stage_main("level_frames")([f"--model={model}", f"--pack={pack}", f"--out={out}", "--count=9"])
    assert f"1 of {LATENT_DIM} directions" in capsys.readouterr().err
    wav = 0.1 * torch.randn(1, 1, 12800, generator=torch.Generator().manual_seed(0))
    (before, lm), (after, follower) = load_parts(model), load_parts(out)
    with torch.inference_mode():
        assert torch.allclose(*(c.decode(c.encode(wav)) for c in (before, after)), atol=1e-2)
        seen = [network.frame(c.encode(wav)) for network, c in ((lm, before), (follower, after))]
    assert torch.allclose(*seen, atol=0.05)


@pytest.mark.parametrize("change, said", [({"kind": "rvq"}, "codes"), ({"lm": "dit_lm"}, "cannot follow")])
def test_frames_that_cannot_be_level(change, said, stage_main, tmp_path, capsys):
    model = tmp_path / "model"
    save_part(model, "codec", tiny_codec(**{k: v for k, v in change.items() if k == "kind"}))
    if "lm" in change:
        save_part(model, "lm", tiny_whole_lm(change["lm"]))
    assert stage_main("level_frames")([f"--model={model}", "--pack=none", f"--out={tmp_path / 'out'}"]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_where_a_codec_falls_short(whole, stage_main, tmp_path, capsys):
    """All that the original gives brings the codec nearer to it."""
    arguments = [f"--model={whole.folder / 'exp/codec/model'}", f"--trials={whole.folder / 'data/trials_test.tsv'}"]
    assert not stage_main("mix_spectra")([*arguments, "--edges", "1000", f"--out={tmp_path}"])
    systems = json.loads((tmp_path / "score.json").read_text())["systems"]
    assert capsys.readouterr().out.count("\n") == 2 + len(systems) == 2 + 6
    distances = {name: score["mel_distance"]["value"] for name, score in systems.items()}
    assert 0 == distances.pop("original") < min(distances.values()) and distances.pop("codec") > max(distances.values())
    assert all((tmp_path / "wav" / name.replace(" ", "_")).is_dir() for name in systems)


@pytest.mark.parametrize("voices", [5, 28])
def test_synthetic_speakers_are_of_any_number_of_voices(voices, stage_module):
    """Their weights sum to one, so that what all voices have in common stays, and few of them are most of a speaker."""
    speaker_of = stage_module("synthetic_speech").speaker_of
    styles = np.eye(voices, 256, dtype=np.float32)[:, None]  # so a style begins with the weights of its sound
    weights = np.stack([speaker_of(styles, np.random.default_rng(seed))[0][0, :voices] for seed in range(50)])
    assert weights.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.sort(weights, axis=1)[:, -3:].sum(axis=1).mean() > 0.9


def test_a_file_that_is_no_style(stage_module, tmp_path):
    (tmp_path / "short.bin").write_bytes(bytes(100))
    with pytest.raises(UserError, match="short.bin: .* want a style of Kokoro"):
        stage_module("synthetic_speech").style_of(tmp_path / "short.bin")


def test_a_synthetic_speaker_says_something(stage, tmp_path, capsys):
    said = ["--sentences", tmp_path / "none", "--out", tmp_path / "out", "--per_speaker", 0]
    assert stage("synthetic_speech", *said) == 2
    assert capsys.readouterr().err == "synthetic_speech: error: --per_speaker 0: want a number from 1 on\n"


def test_a_run_of_another_size_is_not_resumed(whole, stage_main, capsys):
    exp = whole.folder / "exp/lm"
    config = (exp / "config.yaml").read_text()
    assert stage_main("train")(["lm", "--config", str(exp / "config.yaml"), "--task.lm.dim=16"]) == 2
    said = capsys.readouterr().err
    assert "of another size" in said and said.count("\n") == 1
    assert (exp / "config.yaml").read_text() == config
