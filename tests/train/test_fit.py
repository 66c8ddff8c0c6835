"""A run that was stopped goes on as if it had not been; what goes wrong leaves the last good checkpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tiny import LATENT_DIM, sound, utterance
from torch.utils.data import Dataset

from latent_tts.align.aligner import AlignerConfig
from latent_tts.codec.bottleneck import SigmaVAEConfig
from latent_tts.codec.discriminators import LowBandConfig
from latent_tts.errors import UserError
from latent_tts.frames import stack
from latent_tts.lm.aligned import AlignedLMConfig

pytest.importorskip("lightning")

from latent_tts.train.aligner_task import AlignerTask, AlignerTraining  # noqa: E402
from latent_tts.train.codec_task import CodecTask, CodecTraining  # noqa: E402
from latent_tts.train.fit import ClockCheckpoint, Fit, fit, peak_resident  # noqa: E402
from latent_tts.train.head_task import HeadTask, HeadTraining  # noqa: E402
from latent_tts.train.lm_task import LMTask, LMTraining  # noqa: E402
from latent_tts.train.optim import MuonConfig, NotFinite  # noqa: E402

STEPS = 6
EXACT = Fit(accelerator="cpu", precision="32-true", progress=False, log_every=1, validate_every=4)
EVERY_STEP = Fit(accelerator="cpu", precision="32-true", progress=False, checkpoint_minutes=0)
CODEC = SigmaVAEConfig(
    latent_dim=LATENT_DIM, encoder_dim=8, frame_dim=8, decoder_dim=8, n_mels=20, encoder_blocks=1, decoder_blocks=1
)
SIZES = {"dim": 16, "layers": 1, "heads": 2, "head_dim": 16, "head_layers": 1, "draws": 2, "dropout": 0.2}
LM = AlignedLMConfig(frame_dim=LATENT_DIM, text_dim=8, **SIZES)


def codec_task() -> CodecTask:
    """Discriminators join and the encoder freezes within the few steps."""
    return CodecTask(
        CODEC,
        CodecTraining(steps=STEPS, warmup=2, adversarial_from=2, encoder_until=4, discriminator_channels=2, ema=0.5),
    )


def lm_task() -> LMTask:
    return LMTask(LM, LMTraining(steps=STEPS, warmup=2, ema=0.5))


def head_task() -> HeadTask:
    return HeadTask(replace(LM, head="flow"), HeadTraining(steps=STEPS, warmup=2, ema=0.5))


def aligner_task() -> AlignerTask:
    return AlignerTask(AlignerConfig(n_mels=20, dim=8, blocks=1), AlignerTraining(steps=STEPS, warmup=2, ema=0.5))


def muon_task() -> LMTask:
    return LMTask(LM, LMTraining(steps=STEPS, warmup=2, ema=0.5, muon=MuonConfig()))


class Batches(Dataset):
    """``count`` batches made of their numbers; ``hook`` sees each batch's number and may change the batch."""

    def __init__(self, make: Callable, count: int = STEPS, hook: Callable = lambda step, batch: batch):
        self.make, self.count, self.hook = make, count, hook

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, step: int):
        return self.hook(step, self.make(step))

    def __iter__(self) -> Iterator:
        return (self[step] for step in range(self.count))


def crops(step: int) -> torch.Tensor:
    return sound(2, 5 * CODEC.hop_length, seed=step)[:, None]


def rows(step: int):
    return stack([utterance(5, 12, 4, 2, seed=step), utterance(3, 9, seed=step + 100)])


def recordings(step: int) -> tuple[torch.Tensor, ...]:
    text = torch.randint(1, 100, (2, 5), generator=torch.Generator().manual_seed(step))
    return sound(2, 8000, seed=step), torch.tensor([8000, 6000]), text, torch.tensor([5, 3])


TASKS = {
    "codec": (codec_task, crops),
    "lm": (lm_task, rows),
    "head": (head_task, rows),
    "aligner": (aligner_task, recordings),
    "muon": (muon_task, rows),
}
ANY_TASK = pytest.mark.parametrize("part", TASKS)


def run(part: str, folder: Path, seed: int = 0, options: Fit = EXACT, **batches):
    """A new task with weights of ``seed``, trained in ``folder``: -> (the task, whether it is done)."""
    build, make = TASKS[part]
    torch.manual_seed(seed)
    task = build()
    return task, fit(task, Batches(make, **batches), Batches(make, 1), folder, options)


def checkpoint(folder: Path) -> dict:
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)


def assert_equal(one: object, other: object, place: str = "") -> None:
    """The same numbers, bit for bit, in nested containers."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_equal(one[key], other[key], f"{place}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for i, pair in enumerate(zip(one, other)):
            assert_equal(*pair, f"{place}[{i}]")
    else:
        assert one == other, place


def interrupt(step: int, batch):
    if step == 3:
        raise KeyboardInterrupt
    return batch


def fail(step: int, batch):
    if step == 3:
        raise OSError("the disk has gone")
    return batch


def assert_resumes(part: str, folder: Path, wanted: dict) -> None:
    """A new process would find only what is in ``folder``: a task with other weights takes it up from there."""
    before = checkpoint(folder)["state_dict"]
    assert 2 <= int(before["step"]) <= 3  # a batch is fetched ahead of its step
    resumed, done = run(part, folder, seed=1)
    assert done and int(resumed.step) == STEPS
    found = checkpoint(folder)
    for state in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_equal(found[state], wanted[state], state)
    assert any(not torch.equal(before[k], v) for k, v in found["state_dict"].items() if k.endswith("weight"))


@ANY_TASK
def test_a_run_in_two_parts_is_the_unbroken_one(part, tmp_path):
    """Weights, averages, optimisers and schedules, bit for bit."""
    straight, done = run(part, tmp_path / "straight")
    assert done and int(straight.step) == STEPS
    assert run(part, tmp_path / "parts", count=3)[1]
    assert_resumes(part, tmp_path / "parts", checkpoint(tmp_path / "straight"))


@pytest.mark.parametrize(("began", "goes_on"), [("lm", "muon"), ("muon", "lm")])
def test_a_run_keeps_its_optimizer(began, goes_on, tmp_path):
    run(began, tmp_path, count=3)
    before = checkpoint(tmp_path)
    with pytest.raises(UserError, match="last.ckpt has learnt by AdamW where muon is given now, or the other way; "):
        run(goes_on, tmp_path)
    assert_equal(checkpoint(tmp_path), before)


def test_workers_change_nothing(tmp_path):
    """Two prepare the batches, also after the run was broken off at an odd step."""
    run("lm", tmp_path / "straight")
    workers = replace(EXACT, workers=2)
    assert run("lm", tmp_path / "parts", count=3, options=workers)[1]
    task, done = run("lm", tmp_path / "parts", seed=1, options=workers)
    assert done and int(task.step) == STEPS
    assert_equal(checkpoint(tmp_path / "parts")["state_dict"], checkpoint(tmp_path / "straight")["state_dict"])


def test_a_run_that_was_killed_or_failed_goes_on(tmp_path):
    run("lm", tmp_path / "straight")
    for name, stop in {"interrupted": interrupt, "failed": fail}.items():
        with pytest.raises((KeyboardInterrupt, SystemExit, OSError)):
            run("lm", tmp_path / name, hook=stop)
        assert_resumes("lm", tmp_path / name, checkpoint(tmp_path / "straight"))


def test_a_finished_run_is_left_alone(tmp_path):
    """Called again it returns at once, whatever weights the new task began with."""
    first, _ = run("lm", tmp_path, count=2)
    again, done = run("lm", tmp_path, seed=1, count=2)
    assert done and int(again.step) == 2
    assert_equal(dict(again.state_dict()), dict(first.state_dict()))


def assert_stopped_at_two(part: str, folder: Path, message: str) -> dict[str, torch.Tensor]:
    """One line names the batch; the checkpoint is of the good steps before it. -> the batch."""
    path = folder / "bad_batch_step2.safetensors"
    assert message.endswith(f"; lower lr or look at the data; its batch is {path}") and "\n" not in message
    assert {p.name for p in folder.iterdir()} == {path.name, "checkpoints", "tensorboard"}
    saved = checkpoint(folder)["state_dict"]
    assert int(saved["step"]) == 2
    assert all(tensor.isfinite().all() for tensor in saved.values() if tensor.is_floating_point())
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"part": part, "step": "2"}
        return {name: file.get_tensor(name) for name in file.keys()}


@pytest.mark.parametrize("part", ["codec", "lm", "head", "aligner"])
def test_a_loss_that_is_no_number_stops_the_run(part, tmp_path):
    def spoil(step: int, batch):
        if step == 2 and part == "codec":
            batch = batch * float("nan")
        elif step == 2 and part in ("lm", "head"):
            batch.frames.fill_(float("nan"))
        elif step == 2:
            batch[0].fill_(float("nan"))
        return batch

    with pytest.raises(NotFinite, match=f"{part}: the loss is nan at step 2; .*") as stop:
        run(part, tmp_path, options=EVERY_STEP, hook=spoil)
    found = assert_stopped_at_two(part, tmp_path, str(stop.value))
    batch = spoil(2, TASKS[part][1](2))
    wanted = vars(batch) if part in ("lm", "head") else dict(zip("0123", [batch] if part == "codec" else batch))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)
    with pytest.raises(NotFinite):
        run(part, tmp_path / "no clock", hook=spoil)
    assert not (tmp_path / "no clock/checkpoints/last.ckpt").exists()


@pytest.mark.parametrize("module", ["aligner", "lm", "codec", "discriminators"])
def test_a_gradient_that_is_no_number_stops_the_run(module, tmp_path):
    """The loss may be sound where its gradient is not; no weight of the module has moved."""
    part = module if module in TASKS else "codec"
    build, make = TASKS[part]
    task = build()

    def spoil(gradient: torch.Tensor) -> torch.Tensor:
        return gradient * float("inf") if int(task.step) == 2 else gradient

    next(getattr(task, module).parameters()).register_hook(spoil)
    with pytest.raises(NotFinite, match=f"{part}: the gradient is (nan|inf) at step 2; .*") as stop:
        fit(task, Batches(make), Batches(make, 1), tmp_path, EVERY_STEP)
    assert_stopped_at_two(part, tmp_path, str(stop.value))
    saved = {k: v for k, v in checkpoint(tmp_path)["state_dict"].items() if k.startswith(f"{module}.")}
    assert_equal({f"{module}.{k}": v for k, v in getattr(task, module).state_dict().items()}, saved)


def test_the_clock_decides_when_to_save(tmp_path):
    """Never within the interval, at every step without one, and at the end in any case."""
    seen: dict[float, list[int]] = {}
    for minutes in (0.0, 5.0):
        found = seen[minutes] = []

        def look(step: int, batch, folder=tmp_path / str(minutes), found=found):
            exists = (folder / "checkpoints/last.ckpt").exists()
            found.append(int(checkpoint(folder)["state_dict"]["step"]) if exists else -1)
            return batch

        options = Fit(accelerator="cpu", precision="32-true", progress=False, checkpoint_minutes=minutes)
        run("lm", tmp_path / str(minutes), options=options, hook=look)
        assert int(checkpoint(tmp_path / str(minutes))["state_dict"]["step"]) == STEPS
        assert [p.name for p in (tmp_path / str(minutes) / "checkpoints").iterdir()] == ["last.ckpt"]
    assert set(seen[5.0]) == {-1} and seen[0.0][0] == -1 and seen[0.0] == sorted(seen[0.0]) and max(seen[0.0]) >= 4


def test_a_checkpoint_that_breaks_off_leaves_the_old_one(tmp_path):
    path = tmp_path / "last.ckpt"
    path.write_bytes(b"old")

    def half(beside: Path) -> None:
        assert beside.parent == path.parent and beside != path
        beside.write_bytes(b"ne")
        raise OSError("no space left")

    with pytest.raises(OSError):
        ClockCheckpoint(path, 5).save(SimpleNamespace(save_checkpoint=half, is_global_zero=True))
    assert path.read_bytes() == b"old"


def test_killed_while_it_writes_it_goes_on(tmp_path):
    """SIGKILL at any moment: the last checkpoint can be loaded, and what follows is the unbroken run, bit for bit."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    folders = [*map(str, Path(__file__).parents[1:3]), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(folders), "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, Path(__file__).with_name("killed.py"), tmp_path],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    left = json.loads(ended.stdout)
    steps = [record["step"] for record in left]
    assert None not in steps and len(steps) >= 6 and all(a < b for a, b in zip(steps, steps[1:]))
    assert sum(record["torn"] for record in left) >= 2, "no kill came while a checkpoint was written"
    found, wanted = checkpoint(tmp_path / "killed"), checkpoint(tmp_path / "straight")
    for state in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert_equal(found[state], wanted[state], state)
    assert int(found["state_dict"]["step"]) == steps[-1] + 3
    assert [p.name for p in (tmp_path / "killed/checkpoints").iterdir()] == ["last.ckpt"]
    assert sum(p.stat().st_size for p in temporary.rglob("*")) < 2**20, "checkpoints lie in the temporary folder"


def test_time_is_counted_anew_in_every_call(tmp_path):
    """A run whose time was up goes on when it is called again with the same limit."""

    def slowly(step: int, batch):
        time.sleep(0.25)
        return batch

    options = Fit(accelerator="cpu", precision="32-true", progress=False, max_time="00:00:00:01")
    steps = []
    for seed in range(2):
        task, done = run("lm", tmp_path, seed, options, count=100, hook=slowly)
        assert not done
        steps.append(int(task.step))
    assert 0 < steps[0] < steps[1] < 100


def test_the_dashboard_shows_numbers_sounds_and_pictures(tmp_path):
    begun = time.monotonic()
    run("codec", tmp_path, options=replace(EXACT, log_every=2))
    spent = time.monotonic() - begun
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    tags = board.Tags()
    assert {"codec/mel", "codec/adversarial", "codec/discriminator", "valid/mel"} <= set(tags["scalars"])
    assert {"original", "reconstruction"} <= set(tags["audio"])
    assert {"spectrum/original", "spectrum/reconstruction"} <= set(tags["images"])
    pace, memory = board.Scalars("run/steps_per_second"), board.Scalars("run/resident_gib")
    heard = board.Scalars("run/sound_per_second")
    for scalars in (pace, memory, heard, board.Scalars("codec/mel")):
        assert [event.step for event in scalars] == [1, 3, 5]
    assert sum(2 / e.value for e in pace) < spent
    seconds = 2 * 5 * CODEC.hop_length / CODEC.sample_rate  # of a batch
    assert [e.value for e in heard] == pytest.approx([e.value * seconds for e in pace])
    assert 0.05 < memory[0].value <= memory[-1].value <= peak_resident()
    assert all(event.value > 0 for event in board.Scalars("run/cores"))


def write_packs(folder: Path, wav: torch.Tensor) -> None:
    """Audio packs to train on and to validate with, of two recordings that make up ``wav`` (T,)."""
    spans = {"a": [0, 40000], "b": [40000, len(wav) - 40000]}
    for split in ("train", "valid"):
        (folder / split).mkdir()
        np.save(folder / split / "samples.npy", (wav.numpy() * 32767).astype(np.int16))
        (folder / split / "index.json").write_text(json.dumps({"sample_rate": 16000, "spans": spans}))


class TestCodecPhases:
    def test_silent_places_are_counted(self, tmp_path):
        """The second recording is silence."""
        write_packs(tmp_path, torch.cat([sound(1, 40000)[0], torch.zeros(80000)]))
        sizes = {"batch_size": 4, "crop_seconds": 0.4, "adversarial_batch_size": 2, "adversarial_crop_seconds": 0.4}
        task = CodecTask(CODEC, CodecTraining(STEPS, adversarial_from=4, discriminator_channels=2, **sizes))
        fit(task, *task.datasets(tmp_path), tmp_path / "exp", EXACT)
        assert task.trainer.logged_metrics["codec/silent_places"] >= STEPS

    def test_batches_are_smaller_with_discriminators(self, tmp_path):
        write_packs(tmp_path, sound(1, 60000)[0])
        sizes = {"batch_size": 4, "crop_seconds": 0.8, "adversarial_batch_size": 2, "adversarial_crop_seconds": 0.4}
        for start, alone in ((4, 4), (0, 0), (99, 6)):
            train, valid = CodecTask(CODEC, CodecTraining(STEPS, adversarial_from=start, **sizes)).datasets(tmp_path)
            assert [batch.shape for batch in train] == [(4, 1, 12800)] * alone + [(2, 1, 6400)] * (STEPS - alone)
            assert valid[0].shape[2] == 25600 and len(valid) == 4

    def test_the_encoder_freezes_at_its_average(self, tmp_path):
        """From ``encoder_until`` on it moves no more, while the decoder does."""
        until_four, _ = run("codec", tmp_path / "a", count=4)
        average = {k: v.clone() for k, v in until_four.average.module.encoder.state_dict().items()}
        task, _ = run("codec", tmp_path / "a", count=6)
        assert_equal(dict(task.codec.encoder.state_dict()), average)
        before, after = until_four.codec.decoder.state_dict(), task.codec.decoder.state_dict()
        assert not torch.equal(before["head.weight"], after["head.weight"])

    def test_discriminators_wait_for_their_step(self, tmp_path):
        torch.manual_seed(0)
        fresh = {k: v.clone() for k, v in codec_task().discriminators.state_dict().items()}
        task, _ = run("codec", tmp_path, count=2)
        assert_equal(dict(task.discriminators.state_dict()), fresh)
        task, _ = run("codec", tmp_path, count=3)
        moved = {k.split(".")[0] for k, v in task.discriminators.named_parameters() if not torch.equal(v, fresh[k])}
        assert len(moved) == len(task.discriminators) == 8

    def test_three_of_the_discriminators_judge_a_step_and_learn(self, tmp_path):
        sizes = {"adversarial_from": 0, "discriminators_asked": 3, "discriminator_channels": 2}
        torch.manual_seed(0)
        task = CodecTask(CODEC, CodecTraining(STEPS, warmup=2, **sizes))
        before, asked = dict(task.discriminators.state_dict()), []
        for count in range(1, 4):
            before = {name: value.clone() for name, value in before.items()}
            torch.manual_seed(0)
            task = CodecTask(CODEC, task.training_config)
            fit(task, Batches(crops, count=count), Batches(crops, 1), tmp_path, EXACT)
            now = dict(task.discriminators.state_dict())
            asked.append({name.split(".")[0] for name, value in now.items() if not torch.equal(value, before[name])})
            before = now
        assert [len(numbers) for numbers in asked] == [3, 3, 3]
        assert len(set.union(*asked)) > 3

    def test_a_low_band_is_asked_at_every_step(self, tmp_path):
        sizes = {"adversarial_from": 0, "discriminators_asked": 1, "discriminator_channels": 2}
        low = LowBandConfig(magnitudes=(64,), windows=(128,))
        task = CodecTask(CODEC, CodecTraining(STEPS, warmup=2, discriminator_magnitudes=(256,), low_band=low, **sizes))
        before = {name: value.clone() for name, value in task.discriminators.state_dict().items()}
        fit(task, Batches(crops, count=1), Batches(crops, 1), tmp_path, EXACT)
        after = task.discriminators.state_dict()
        learnt = {int(name.split(".")[0]) for name, value in after.items() if not torch.equal(value, before[name])}
        assert len(task.discriminators) == 9 + 2 and len(learnt) == 3 and {9, 10} < learnt

    def test_a_step_without_discriminators_is_refused(self, tmp_path):
        task = CodecTask(CODEC, CodecTraining(STEPS, discriminators_asked=0))
        with pytest.raises(UserError, match="discriminators_asked 0: want a number from 1 on, or null for all"):
            fit(task, Batches(crops), Batches(crops, 1), tmp_path, EXACT)
