"""python processes.py FOLDER: trainings in two processes on a CPU, joined by gloo, as torchrun or Lightning start them.

Leaves in FOLDER, for each training, its checkpoints and weights_<rank>.pt, what each process held at its end, or
error_<rank>.txt, what stopped it. Forked, so that the imports are paid once.
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import lightning
import torch
import torch.utils.tensorboard  # noqa: F401
from tiny import CODEBOOKS, ENTRIES, LATENT_DIM, sound, tiny_frame_pack
from torch import Tensor
from torch.distributed.tensor import DTensor

from latent_tts.codec.bottleneck import SigmaVAEConfig
from latent_tts.data.cloning import CloningBatches
from latent_tts.data.step_batches import StepBatches, dealt
from latent_tts.frames import Utterances
from latent_tts.lm.aligned import AlignedLMConfig
from latent_tts.lm.valle import ValleLMConfig
from latent_tts.train.codec_task import CodecTask, CodecTraining
from latent_tts.train.fit import Fit, fit
from latent_tts.train.lm_task import LMTask, LMTraining
from latent_tts.train.optim import NotFinite

WORLD, STEPS = 2, 4
TRAINING = LMTraining(steps=STEPS, batch_frames=250, warmup=2, ema=0.5, clip=0.5)
CODEC = SigmaVAEConfig(
    latent_dim=LATENT_DIM, encoder_dim=8, frame_dim=8, decoder_dim=8, n_mels=20, encoder_blocks=1, decoder_blocks=1
)


class Cloning(CloningBatches):
    """``bad``: the step and the process whose frames are no numbers."""

    bad: tuple[int, int] | None = None

    def share(self, step: int, rank: int, world: int) -> Utterances:
        batch = super().share(step, rank, world)
        if (step, rank) == self.bad:
            batch.frames.fill_(float("nan"))
        return batch


class Crops(StepBatches):
    """Noise, four rows a step."""

    def __init__(self, steps: int):
        self.steps = steps

    def share(self, step: int, rank: int, world: int) -> Tensor:
        return torch.stack(dealt(sound(4, 5 * CODEC.hop_length, seed=step)[:, None], rank, world))


def lm_task() -> LMTask:
    torch.manual_seed(0)
    sizes = {"dim": 16, "layers": 1, "heads": 2, "text_dim": 8, "head_dim": 16, "head_layers": 1}
    return LMTask(AlignedLMConfig(frame_dim=LATENT_DIM, **sizes), TRAINING)


def valle_task() -> LMTask:
    """Processes draw codebooks of their own."""
    torch.manual_seed(0)
    sizes = {"codebooks": CODEBOOKS, "entries": ENTRIES, "dim": 16, "layers": 1, "nar_layers": 1, "heads": 2}
    return LMTask(ValleLMConfig(**sizes), TRAINING)


def codec_task() -> CodecTask:
    """Discriminators join and the encoder freezes within the few steps."""
    sizes = {"adversarial_from": 1, "encoder_until": 2, "discriminator_channels": 2}
    return CodecTask(CODEC, CodecTraining(steps=STEPS, warmup=2, ema=0.5, **sizes))


def lm(
    folder: Path,
    steps: int,
    world: int = WORLD,
    build: Callable[[], LMTask] = lm_task,
    pack: str = "pack",
    **about: object,
) -> LMTask:
    task, pack = build(), folder.parent / pack
    batches, valid = Cloning(pack, TRAINING.batch_frames, steps), CloningBatches(pack, TRAINING.batch_frames, 1, 1)
    batches.bad = about.pop("bad", None)
    options = {"precision": "32-true", "progress": False, "log_every": 1, "validate_every": 3} | about
    fit(task, batches, valid, folder, Fit("cpu", world, **options))
    return task


def codec(folder: Path, steps: int) -> CodecTask:
    task = codec_task()
    fit(task, Crops(steps), Crops(1), folder, Fit("cpu", WORLD, precision="32-true", progress=False, validate_every=2))
    return task


def together(train: Callable[..., lightning.LightningModule], folder: Path, *about: object, **more: object) -> None:
    """The same call in WORLD processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(exist_ok=True)
    children = []
    for rank in range(WORLD):
        child = os.fork()
        if not child:
            os.environ |= {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
            try:
                task = train(folder, *about, **more)
                held = {k: v.to_local() if isinstance(v, DTensor) else v for k, v in task.state_dict().items()}
                torch.save(held, folder / f"weights_{rank}.pt")
            except NotFinite as error:
                (folder / f"error_{rank}.txt").write_text(str(error))
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        sys.exit(f"{folder.name} failed")


def main(folder: Path) -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    tiny_frame_pack(folder / "pack")
    tiny_frame_pack(folder / "codes", coded=True)
    together(lm, folder / "straight", STEPS)
    together(lm, folder / "parts", STEPS - 2)
    shutil.copytree(folder / "parts", folder / "alone")
    together(lm, folder / "parts", STEPS)
    lm(folder / "alone", STEPS, world=1)
    together(lm, folder / "bad", STEPS, bad=(2, 1), checkpoint_minutes=0)
    together(codec, folder / "codec", STEPS)
    together(lm, folder / "sharded", STEPS - 2, strategy="fsdp")
    together(lm, folder / "sharded", STEPS, strategy="fsdp")
    together(lm, folder / "valle", STEPS, build=valle_task, pack="codes")
    together(lm, folder / "valle_sharded", STEPS, build=valle_task, pack="codes", strategy="fsdp")
    shutil.copytree(folder / "sharded", folder / "gathered")
    lm(folder / "gathered", STEPS + 1, world=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
