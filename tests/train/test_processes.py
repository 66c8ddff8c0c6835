"""Two processes train what one would: equal weights in both, the mean of their gradients, one end for all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

pytest.importorskip("lightning")

from latent_tts.data.cloning import CloningBatches  # noqa: E402
from latent_tts.errors import UserError  # noqa: E402
from latent_tts.lm.aligned import AlignedLMConfig  # noqa: E402
from latent_tts.train.fit import Fit, fit  # noqa: E402
from latent_tts.train.lm_task import LMTask, LMTraining  # noqa: E402
from latent_tts.train.optim import MuonConfig  # noqa: E402
from tests.train import processes  # noqa: E402

STEPS, WORLD = processes.STEPS, processes.WORLD


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What processes.py left."""
    folder = tmp_path_factory.mktemp("processes")
    tests = Path(__file__).parents[1]
    paths = os.pathsep.join(map(str, [tests.parent, tests, os.environ.get("PYTHONPATH", "")]))
    ended = subprocess.run(
        [sys.executable, processes.__file__, folder],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    return folder


def weights(folder: Path) -> list[dict[str, Tensor]]:
    return [torch.load(folder / f"weights_{rank}.pt", weights_only=True) for rank in range(WORLD)]


def checkpoint(folder: Path) -> dict:
    return torch.load(folder / "checkpoints/last.ckpt", weights_only=True)


def by_hand(folder: Path) -> dict[str, Tensor]:
    """The same training in this process: each process's rows in turn, their gradients' mean, one step."""
    task = processes.lm_task()
    batches = CloningBatches(folder / "pack", processes.TRAINING.batch_frames, STEPS)
    (optimizer,), (schedule,) = task.configure_optimizers()
    for step in range(STEPS):
        optimizer.zero_grad()
        for rank in range(WORLD):
            torch.manual_seed(step + rank * 2**40)
            (task.lm.loss(batches.share(step, rank, WORLD))["loss"] / WORLD).backward()
        torch.nn.utils.clip_grad_norm_(task.lm.parameters(), processes.TRAINING.clip)
        optimizer.step()
        schedule.step()
        task.average.update_parameters(task.lm)
        task.step += 1
    return task.state_dict()


@pytest.mark.parametrize("training", ["straight", "parts", "codec"])
def test_both_hold_the_same_weights(training, folder):
    """Bit for bit, and those of the checkpoint that one of them wrote; the average among them."""
    one, other = weights(folder / training)
    saved = checkpoint(folder / training)["state_dict"]
    assert one.keys() == other.keys() == saved.keys() and int(one["step"]) == STEPS
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]) and torch.equal(tensor, saved[name]), name


def test_their_step_is_the_mean_of_their_gradients(folder):
    found, wanted, fresh = weights(folder / "straight")[0], by_hand(folder), processes.lm_task().state_dict()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    moved = [(found[k] - fresh[k]).abs().max() for k in found if k.startswith(("lm.", "average.module"))]
    assert len(moved) > 40 and torch.stack(moved).median() > 1e-3


def test_a_run_in_two_parts_is_the_unbroken_one(folder):
    parts, straight = checkpoint(folder / "parts"), checkpoint(folder / "straight")
    for state in ("state_dict", "optimizer_states", "lr_schedulers"):
        torch.testing.assert_close(parts[state], straight[state], rtol=0, atol=0)


def test_another_number_of_processes_goes_on(folder):
    """One goes on where two stopped, with the same batches; what dropout and diffusion draw is other noise."""
    alone, together = checkpoint(folder / "alone"), checkpoint(folder / "straight")
    assert int(alone["state_dict"]["step"]) == STEPS
    first, second = (saved["state_dict"]["lm.frame.weight"] for saved in (alone, together))
    fresh = processes.lm_task().lm.frame.weight
    assert 0 < (first - second).norm() < (second - fresh).norm()


@pytest.mark.parametrize(("spread", "whole"), [("sharded", "straight"), ("valle_sharded", "valle")])
def test_fsdp_spreads_the_weights_and_trains_the_same(spread, whole, folder):
    """Each process holds a half; the checkpoint has the whole and is as DDP's. The first was itself resumed halfway;
    the second has two Transformers, and weights that a codebook drawn elsewhere has no need of."""
    sharded, straight = checkpoint(folder / spread), checkpoint(folder / whole)
    torch.testing.assert_close(sharded["state_dict"], straight["state_dict"], rtol=1e-4, atol=1e-5)
    one, other = weights(folder / spread)
    for name, whole in sharded["state_dict"].items():
        if whole.ndim and name.startswith(("lm.", "average.module.")) and not name.endswith((".alpha", ".sigma")):
            assert len(one[name]) == -(-len(whole) // 2), name
            assert torch.equal(torch.cat([one[name], other[name]]), whole), name


def test_one_process_goes_on_from_fsdp(folder):
    """With the state of each parameter: a step lets the mean of squares fade by a fiftieth, a first would by all."""
    before, after = checkpoint(folder / "sharded"), checkpoint(folder / "gathered")
    assert int(after["state_dict"]["step"]) == STEPS + 1
    old, new = (saved["optimizer_states"][0] for saved in (before, after))
    for one, other in zip(old["param_groups"], new["param_groups"]):
        for first, second in zip(one["params"], other["params"]):
            first, second = old["state"][first], new["state"][second]
            assert int(second["step"]) == int(first["step"]) + 1 == STEPS + 1
            assert (second["exp_avg_sq"] >= 0.979 * first["exp_avg_sq"]).all()
    assert any(state["exp_avg_sq"].any() for state in old["state"].values())


def test_what_fsdp_cannot_do_is_one_line(folder, tmp_path):
    fsdp = Fit("cpu", WORLD, strategy="fsdp")
    with pytest.raises(UserError, match="CodecTask cannot be spread over processes; give --fit.strategy ddp"):
        fit(processes.codec_task(), processes.Crops(2), processes.Crops(1), tmp_path, fsdp)
    with pytest.raises(UserError, match="last.ckpt was not written by fsdp, which cannot go on from there"):
        fit(processes.lm_task(), processes.Crops(2), processes.Crops(1), folder / "straight", fsdp)
    hearing_itself = LMTask(AlignedLMConfig(dim=16, layers=1, heads=2, own_history=0.5))
    with patch.object(LMTask, "device_mesh", {}), pytest.raises(UserError, match="own_history cannot be learnt with"):
        hearing_itself.configure_model()
    orthogonal = LMTask(AlignedLMConfig(dim=16, layers=1, heads=2), LMTraining(muon=MuonConfig()))
    with patch.object(LMTask, "device_mesh", {}), pytest.raises(UserError, match="muon cannot be used with fsdp"):
        orthogonal.configure_model()


def test_a_bad_batch_in_one_stops_both(folder):
    """With the same message, each with its rows kept, and the checkpoint of the step before."""
    bad = folder / "bad"
    one, other = ((bad / f"error_{rank}.txt").read_text() for rank in range(WORLD))
    assert one == other and one.startswith("lm: the loss is nan in process 1 of 2 at step 2; ")
    assert one.endswith(f"; its batch is {bad}/bad_batch_step2_rank*.safetensors")
    rows = [load_file(bad / f"bad_batch_step2_rank{rank}.safetensors") for rank in range(WORLD)]
    assert rows[0]["frames"].isfinite().all() and rows[1]["frames"].isnan().all()
    assert int(checkpoint(bad)["state_dict"]["step"]) == 2
    assert not list(bad.glob("weights_*"))


def test_losses_may_reach_a_part_of_the_parameters(folder):
    """The codec's and then the discriminators' too, whose every one has learnt; the encoder until it froze."""
    found, fresh = weights(folder / "codec")[0], processes.codec_task().state_dict()
    moved = {k for k in found if found[k].is_floating_point() and not torch.equal(found[k], fresh[k])}
    parts = {".".join(k.split(".")[:2]) for k in fresh if k.startswith(("codec.decoder", "codec.encoder", "discrim"))}
    assert len(parts) > 5 and parts <= {".".join(k.split(".")[:2]) for k in moved}
