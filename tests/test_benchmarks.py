"""What the benchmarks measure with, and that they run; how long anything takes is not tested."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from datetime import datetime
from pathlib import Path

import pytest
import torch
from tiny import tiny_model

from latent_tts.evaluate.trials import Trial, write_trials
from latent_tts.model_dir import load_codec

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
JOBS = ["encode", "decode", "encode_stream", "decode_stream"]


@pytest.fixture
def load(monkeypatch):
    """``load(name)`` is a file of the benchmarks, imported as its command finds it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    threads = torch.get_num_threads()
    yield importlib.import_module
    torch.set_num_threads(threads)


@pytest.fixture
def timing(load):
    return load("timing")


def test_calls_take_turns(timing):
    said = []
    times = timing.interleave({name: lambda name=name: said.append(name) for name in "abc"}, rounds=2)
    assert "".join(said) == "abc" * 3, "one round to warm up, then two"
    assert list(times) == list("abc") and all(len(t) == 2 and min(t) >= 0 for t in times.values())


def test_a_time_is_that_of_its_call_alone(timing):
    now = [0.0]
    calls = {seconds: lambda seconds=seconds: now.__setitem__(0, now[0] + seconds) for seconds in (0.25, 4.0)}
    assert timing.interleave(calls, rounds=3, clock=lambda: now[0]) == {0.25: [0.25] * 3, 4.0: [4.0] * 3}


def test_medians_and_ratios(timing):
    assert timing.spread([5.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 5.0}
    assert timing.spread(iter([1.0, 2.0])) == {"median": 1.5, "min": 1.0, "max": 2.0}
    slow_machine = timing.quotients([2.0, 40.0, 3.0], [1.0, 20.0, 1.0])
    assert slow_machine == {"median": 2.0, "min": 2.0, "max": 3.0}, "a ratio is that of one round"
    with pytest.raises(ValueError):
        timing.quotients([1.0, 2.0], [1.0])


def test_table(timing):
    cells = [timing.cell({"median": 0.012345, "min": 0.01, "max": 1.5}), timing.cell(None)]
    assert timing.markdown_table(["name", "speed", "none"], [["a", *cells]]) == (
        "| name | speed | none |\n| --- | --- | --- |\n| a | 0.0123 [0.01, 1.5] | - |\n"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_the_call(timing):
    """The peak counts, also where it is gone by the end, and again at the second time."""
    for _ in range(2):
        growth = timing.peak_growth(lambda: len(b"x" * (96 << 20)))
        if growth is None:
            pytest.skip("this system's C library or kernel does not tell")
        assert 90 < growth < 160
    assert timing.peak_growth(lambda: None) < 32


def test_conditions(timing):
    about = timing.conditions(["torch", "no-such-package"], seed=3)
    assert datetime.fromisoformat(about["date"]).tzinfo is not None
    assert about["machine"]["cpu"] and about["machine"]["cores"] >= 1
    assert set(about["versions"]) == {"python", "torch"} and about["settings"] == {"seed": 3}


def test_our_codec_alone(load, model_folder, tmp_path, capsys):
    path, codec = tmp_path / "codec.json", load_codec(model_folder)
    frame = codec.hop_length / codec.sample_rate
    options = ["--peers", "--seconds", "1", "--rounds", "1", "--threads", "1", "--seed", "5", "--json", str(path)]
    assert load("codec").main(options) == 0
    report = json.loads(path.read_text())
    assert report["benchmark"] == "codec" and {"date", "machine", "versions"} < set(report)
    assert report["settings"] == {"seconds": 1, "rounds": 1, "threads": 1, "seed": 5, "dtype": "float32"}
    ((name, ours),) = report["systems"].items()
    assert name == f"latent_tts {model_folder.name}" and ours["weights"] == "trained"
    assert ours["parameters"] == sum(p.numel() for p in codec.parameters())
    assert ours["decoder_latency_ms"] == 1000 * frame and 1 - frame < ours["seconds"] <= 1
    for job in JOBS:
        (seconds,) = ours[job]["times"]
        share = pytest.approx(seconds / ours["seconds"])
        assert seconds > 0 and ours[job]["real_time"] == {"median": share, "min": share, "max": share}
        assert ours[job]["over_ours"] == {"median": 1, "min": 1, "max": 1}
    said, _ = capsys.readouterr()
    (row,) = (line for line in said.splitlines() if line.startswith(f"| {name} |"))
    assert f"| {ours['decode']['real_time']['median']:.3g} [" in row and f"| {1000 * frame:g} |" in row


@torch.inference_mode()
def test_what_is_timed_as_a_stream_is_the_whole(load, model_folder):
    system = load("codec_systems").OwnCodec(model_folder)
    wav = load("codec").noise(system, seconds=1, seed=0)
    frames = system.encode(wav)
    assert frames.shape[1] * system.hop_length == wav.shape[2] and frames.shape[1] > 1
    torch.testing.assert_close(system.encode_stream(wav), frames, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(system.decode_stream(frames), system.decode(frames), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["encodec", "mimi", "vocos"])
@torch.inference_mode()
def test_a_peer_gives_sound_of_the_same_length(load, name):
    pytest.importorskip("vocos" if name == "vocos" else "transformers")
    system = load("codec_systems").PEERS[name](0)
    wav = load("codec").noise(system, seconds=0.5, seed=0)
    frames = system.encode(wav)
    sound = system.decode(frames)
    assert sound.shape[-1] == wav.shape[2] and sound.std() > 0 and torch.isfinite(sound).all()
    if name == "mimi":
        assert torch.equal(system.encode_stream(wav), frames) and len(frames.unique()) > 8
        assert system.decode_stream(frames).shape == sound.shape


def test_a_peer_that_is_not_installed_is_left_out(load, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "vocos", None)
    assert load("codec").peers(["vocos"], 0) == []
    said = capsys.readouterr().err
    assert "vocos is left out" in said and "bench" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--rounds", "0"], "--rounds is 0"),
        (["--threads", "0"], "--threads is 0"),
        (["--seconds", "0.01"], "--seconds 0.01 is shorter than a frame"),
        (["--model", "none"], "none: no such model directory"),
    ],
)
def test_a_wrong_option_is_one_line(load, capsys, options, line):
    assert load("codec").main(["--peers", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("codec: error: ") and line in said and said.count("\n") == 1


def test_our_codec_by_both_engines(load, model_folder):
    """A stream is the whole with 8-bit weights too, and near what torch makes of the frames."""
    pytest.importorskip("onnx")
    torch_codec, graphs = (load("codec_systems").OwnCodec(model_folder, engine) for engine in ("torch", "onnx"))
    assert graphs.name == f"{torch_codec.name}, onnx"
    with torch.inference_mode():
        frames = torch_codec.encode(load("codec").noise(torch_codec, seconds=1, seed=0))
        whole = graphs.decode(frames)
        torch.testing.assert_close(graphs.decode_stream(frames), whole, atol=1e-2, rtol=0)
        wanted = torch_codec.decode(frames)
    assert (whole - wanted).norm() < 0.05 * wanted.norm()


@pytest.fixture
def spoken_report() -> dict:
    """What ``speed.py`` writes, of two systems of ours and a peer."""

    def system(median: float) -> dict:
        figure = {"median": median, "min": median, "max": median}
        times = {"10": {**figure, "over_ours": figure, "sound_s": 10.0}}
        return {"weights": "trained", "note": "n", "real_time": times, "first_audio_ms": {"10": figure}}

    own = {"stages_ms": {"lm, a step after   64": {"median": 1.0, "min": 1.0, "max": 1.0}}, "batch": {}}
    systems = {"latent_tts nano, onnx": system(0.05) | own, "latent_tts nano, torch": system(0.1) | own}
    machine = {"cpu": "c", "cores": 2, "load": 0.1}
    return {
        "benchmark": "speed",
        "date": "2026-01-01",
        "machine": machine,
        "versions": {},
        "settings": {"rounds": 7},
        "threads": {"2": {**systems, "peer": system(0.2)}},
    }


def test_ratios_are_kept_and_compared(load, spoken_report, tmp_path, capsys):
    """A machine that slows down slows the peer too; we alone getting slower is found, and named."""
    compare, report, kept = load("compare"), tmp_path / "speed.json", tmp_path / "recorded.json"
    report.write_text(json.dumps(spoken_report))
    assert compare.main([str(report), "--recorded", str(kept), "--record"]) == 0
    wanted = {"latent_tts nano, onnx": 0.25, "latent_tts nano, torch": 0.5}
    measure = "10 s of speech, threads: 2"
    assert json.loads(kept.read_text())["ratios"] == {f"{n}: {measure}": {"peer": r} for n, r in wanted.items()}
    systems = spoken_report["threads"]["2"]
    for system in systems.values():
        system["real_time"]["10"]["median"] *= 3
    report.write_text(json.dumps(spoken_report))
    assert compare.main([str(report), "--recorded", str(kept)]) == 0
    systems["latent_tts nano, onnx"]["real_time"]["10"]["median"] *= 1.5
    report.write_text(json.dumps(spoken_report))
    capsys.readouterr()
    assert compare.main([str(report), "--recorded", str(kept)]) == 1
    said = capsys.readouterr().out
    assert f"| latent_tts nano, onnx: {measure} | 1.50 | slower |" in said and said.count("slower") == 1


def test_what_cannot_be_compared_is_one_line(load, tmp_path, capsys):
    assert load("compare").main([str(tmp_path / "none.json")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("compare: error: ") and said.count("\n") == 1


def test_tables_and_picture_of_speaking(load, spoken_report, tmp_path):
    tables = load("speed_tables")
    text = tables.markdown(spoken_report)
    assert "Threads: 2." in text and "| latent_tts nano, torch | trained | 0.1 [0.1, 0.1] |" in text
    pytest.importorskip("matplotlib")
    tables.plot(spoken_report, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_our_speech_alone(load, tmp_path, capsys):
    """A small model by torch: every figure is there and fits the others."""
    folder = tiny_model(tmp_path / "tiny")
    options = ["--model", folder, "--engines", "torch", "--peers", "--seconds", "1", "--rounds", "1", "--threads", "1"]
    options += ["--batches", "1", "3", "--json", tmp_path / "speed.json"]
    assert load("speed").main([str(option) for option in options]) == 0
    report = json.loads((tmp_path / "speed.json").read_text())
    ((name, ours),) = report["threads"]["1"].items()
    assert report["benchmark"] == "speed" and name == "latent_tts tiny, torch" and set(ours["batch"]) == {"1", "3"}
    share, first = ours["real_time"]["1"], ours["first_audio_ms"]["1"]
    assert share["over_ours"]["median"] == 1 and 0 < first["median"] <= 1000 * share["median"] * share["sound_s"]
    assert ours["start_s"] > 0 < ours["peak_mib"] and ours["peak_mib"] >= ours["torch_mib"]
    assert sum(stage.startswith("lm, a step after") for stage in ours["stages_ms"]) == 5
    assert f"| {name} | trained |" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--rounds", "0"], ["--threads", "0"], ["--seconds", "0"], ["--model", "none"]])
def test_a_wrong_option_of_speed_is_one_line(load, capsys, options):
    assert load("speed").main(["--peers", "--threads", "1", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith("speed: error: ") and said.count("\n") == 1


def test_models_take_turns_at_trials(load, tmp_path, reference, capsys):
    """What a solver's step costs shows in the evaluations; a model loaded once serves all its numbers of steps."""
    write_trials(tmp_path / "list.tsv", [Trial("a", "One. Two.", reference, "s"), Trial("b", "Three.", reference, "s")])
    models = {kind: tiny_model(tmp_path / kind, lm=kind) for kind in ("latent_lm", "prefix_lm")}
    systems = [("latent_lm", "4"), ("latent_lm", "1"), ("prefix_lm", "2")]
    options = [word for name, steps in systems for word in ("--system", name, steps, str(models[name]))]
    options += ["--trials", str(tmp_path / "list.tsv"), "--rounds", "1"]
    assert load("real_time").main([*options, "--out", str(tmp_path / "times.json")]) == 0
    report = json.loads((tmp_path / "times.json").read_text())
    assert report["settings"]["trials"] == 2 and report["settings"]["engine"] == "torch"
    found = {(name, steps): figures for name, points in report["systems"].items() for steps, figures in points.items()}
    assert list(found) == systems
    for (_, steps), figures in found.items():
        begun, asked = figures["decoding_steps"], figures["network_evaluations"]
        assert begun > 12.5, "frames a second, and a last step for each sentence"
        assert asked - begun == pytest.approx(12.5 * 2 * int(steps)), "the head, with a condition and without"
        assert figures["real_time"]["median"] > 0
    assert capsys.readouterr().out.count("\n") == 5
    assert load("real_time").main([*options, "--count", "0"]) == 2
    assert capsys.readouterr().err == "real_time: error: --rounds and --count want numbers from 1 on\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_without_an_accelerator_there_is_nothing_to_measure(load, capsys):
    assert load("gpu").main([]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gpu: error: ") and said.count("\n") == 1


def test_texts_are_as_long_as_asked_for(load):
    text_of = load("speech_systems").text_of
    lengths = [len(text_of(seconds).split()) for seconds in (0.1, 1, 10, 300)]
    assert lengths == [1, 3, 26, 780] and text_of(10).endswith(".") and not text_of(10).endswith("..")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_the_server(load, tmp_path, reference, capsys):
    """It runs; whether memory is flat shows only over many requests."""
    pytest.importorskip("uvicorn")
    folder, path = tiny_model(tmp_path / "tiny"), tmp_path / "memory.json"
    shutil.copy(reference, folder)
    options = ["--model", str(folder), "--requests", "20", "--margin", "500", "--json", str(path)]
    assert load("server_memory").main(options) == 0
    report = json.loads(path.read_text())
    counts, mebibytes = zip(*report["readings"])
    assert counts == tuple(range(1, 21)) and min(mebibytes) > 50 and "flat" in capsys.readouterr().out
    growth = load("server_memory").later_growth
    assert growth([9, 9, 5, 5, 7, 7, 5, 6]) == 1 and growth([1.0]) == 0


def test_what_a_corpus_costs(load, tmp_path):
    """Reckoned from a stage's own summary and the files it left."""
    stages = load("stages")
    said = "noise; 1\nencode: x; 0.5000 h of sound in 9.0 s, 36.00 s of a core, 50.0 times real time, 0.25 GiB\n"
    assert stages.SUMMARY.findall(said) == [("0.5000", "36.00", "0.25")]
    costs = [stages.Cost("encode", 0.02, 0.5, 0.25), stages.Cost("synthesize", 0.25, 1.0, 0.5)]
    encode, synthesize = stages.cost_table(costs, hours=1000, jobs=10).splitlines()[2:]
    assert encode == "| encode | 50 | 20 | 2.0 | 500 | 0.25 |" and synthesize == "| synthesize | 4 |  |  |  | 0.50 |"
    (train,) = stages.cost_table([stages.Cost("train lm", 1.25, 0, 2.0)], hours=1000, jobs=10).splitlines()[2:]
    assert train == "| train lm | 0.80 | 1,250 |  |  | 2.00 |"


def test_a_training_s_pace_is_read(load, tmp_path):
    """One dictionary for each time that it was logged, without what else is on the dashboard."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path / "tensorboard")) as board:
        for step, cores in ((7, 0.5), (15, 1.0)):
            for name, value in (("run/cores", cores), ("run/frames_per_second", 8.0), ("lm/loss", 3.0)):
                board.add_scalar(name, value, step)
    phases = load("stages").paces(tmp_path)
    assert phases == [{"run/cores": cores, "run/frames_per_second": 8.0} for cores in (0.5, 1.0)]


def test_a_stage_s_summary_is_read(load, stage, capsys):
    """The line that recipes/stage.py writes is the one that the benchmark looks for."""
    stages, clock = load("stages"), importlib.import_module("stage").Clock()
    clock.summary("align", "dump: 3 aligned; or not", 1800.0)
    ((sound, work, memory),) = stages.SUMMARY.findall(capsys.readouterr().err)
    assert float(sound) == 0.5 and float(work) >= 0 and float(memory) > 0.05
