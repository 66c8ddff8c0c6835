"""Optimiser groups, learning-rate schedule, one step of an optimiser in one process or many, and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import lightning
import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from latent_tts.errors import UserError


@dataclass(frozen=True)
class MuonConfig:
    """Matrices of linear layers learn by Muon (Jordan et al. 2024), all else by AdamW as without it.

    A step of a matrix is its momentum with all singular values made alike, by five Newton-Schulz iterations, at the
    root mean square that AdamW's has (0.2, Liu et al. 2025, "Muon is scalable for LLM training") times ``rate``. That
    costs the same however small the batch is: for a matrix of m x n, m <= n, 10 m^2 n + 5 m^3 multiplications. Weights
    that AdamW has settled gain by it at a rate well above the one that they settled at.
    """

    rate: float = 2.0  # learning rate of the matrices, times that of the rest
    momentum: float = 0.95


class Together(Optimizer):
    """Optimisers of different weights as one. Its groups and its state are theirs, one after another."""

    def __init__(self, parts: Sequence[Optimizer]):
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = parts
        self._share()

    def _share(self) -> None:
        groups = iter(self.param_groups)
        for part in self.parts:
            part.state, part.param_groups = self.state, list(islice(groups, len(part.param_groups)))

    def load_state_dict(self, state_dict: dict) -> None:
        super().load_state_dict(state_dict)
        self._share()

    def step(self, closure: None = None) -> None:
        for part in self.parts:
            part.step()


def optimizer_of(
    module: nn.Module, lr: float, betas: tuple[float, float], weight_decay: float, muon: MuonConfig | None = None
) -> Optimizer:
    """AdamW, beside ``muon`` where that is given: matrices decay, vectors (biases, gains) are left alone."""
    learning = [p for p in module.parameters() if p.requires_grad]
    linear = {id(layer.weight) for layer in module.modules() if isinstance(layer, nn.Linear) and muon}
    rest = [p for p in learning if id(p) not in linear]
    groups = [
        {"params": [p for p in rest if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = AdamW(groups, lr=lr, betas=betas, fused=True)
    if muon is None:
        return adamw
    return Together([_muon([p for p in learning if id(p) in linear], lr, weight_decay, muon), adamw])


def _muon(matrices: list[nn.Parameter], lr: float, weight_decay: float, muon: MuonConfig) -> Optimizer:
    """UserError for impossible settings, and where torch is too old to have it."""
    if muon.rate <= 0 or not 0 <= muon.momentum < 1:
        raise UserError(f"{muon}: want a rate above 0 and a momentum from 0 to below 1")
    try:
        from torch.optim import Muon
    except ImportError as error:
        raise UserError("muon wants torch 2.9 or newer; update torch, or leave muon out") from error
    rates = {"lr": lr * muon.rate, "weight_decay": weight_decay / muon.rate, "momentum": muon.momentum}
    return Muon(matrices, **rates, adjust_lr_fn="match_rms_adamw")


def warmup_cosine(optimizer: Optimizer, warmup: int, total: int, floor: float = 0.05) -> LambdaLR:
    """Linear warm-up over ``warmup`` steps, then a half cosine down to ``floor`` of the peak at step ``total``."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, total - warmup))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


class NotFinite(FloatingPointError):
    """A loss or a gradient of ``part`` is infinite or not a number at ``step``: ends a run without a checkpoint."""

    def __init__(self, part: str, step: int, problem: str):
        super().__init__(f"{part}: {problem} at step {step}; lower lr or look at the data")
        self.part, self.step = part, step


def check_finite(value: Tensor, part: str, step: int, name: str = "the loss") -> None:
    """Raise NotFinite where ``value`` () is infinite or not a number, in all processes where it is so in one."""
    values = _of_all_processes(value.detach())
    for rank, value in enumerate(values):
        if not torch.isfinite(value):
            where = f" in process {rank} of {len(values)}" if len(values) > 1 else ""
            raise NotFinite(part, step, f"{name} is {value.item()}{where}")


def _of_all_processes(value: Tensor) -> list[Tensor]:
    if not (distributed.is_available() and distributed.is_initialized()):
        return [value]
    values = [torch.empty_like(value) for _ in range(distributed.get_world_size())]
    distributed.all_gather(values, value)
    return values


def seed_step(task: lightning.LightningModule, seed: int) -> None:
    """Make what the network draws at random depend on ``seed``, the step and the process alone."""
    torch.manual_seed(seed * 1_000_003 + int(task.step) + task.global_rank * 2**40)


def descend(task: lightning.LightningModule, part: str, module: nn.Module, loss: Tensor, clip: float) -> Tensor:
    """One step of ``module`` down ``loss`` () by the task's first optimiser and schedule: ``slope`` and ``move``."""
    slope(task, loss)
    return move(task, part, module, loss, clip)


def slope(task: lightning.LightningModule, loss: Tensor, index: int = 0) -> None:
    """Bring the gradients of ``loss`` () for the weights of optimiser number ``index``, in place of those there."""
    _all(task.optimizers())[index].zero_grad()
    task.manual_backward(loss)


def move(
    task: lightning.LightningModule, part: str, module: nn.Module, loss: Tensor, clip: float, index: int = 0
) -> Tensor:
    """One step of ``module`` along its gradients, those of ``loss`` (), by optimiser and schedule number ``index``.

    The gradient is cut to the norm ``clip``. Returns the norm () before that. Raises NotFinite, and moves no weight,
    where the loss or the norm is not finite; ``part`` is what the message calls the module.
    """
    step = int(task.step)
    check_finite(loss, part, step)
    norm = nn.utils.clip_grad_norm_(module.parameters(), clip)
    norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
    check_finite(norm, part, step, "the gradient")
    _all(task.optimizers())[index].step()
    _all(task.lr_schedulers())[index].step()
    return norm


def _all(some: object) -> list:
    """Lightning hands out a list only where there are several."""
    return some if isinstance(some, list) else [some]


def averaged(module: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of ``module``'s weights; ``.module`` is the averaged network, without gradients.

    After n updates the decay is at most (1 + n) / (10 + n): what a training begins with, random weights, must not hold
    back the average of a short one. Source: ``tf.train.ExponentialMovingAverage`` with ``num_updates``.
    """

    def follow(means: list[Tensor], values: list[Tensor], count: Tensor) -> None:
        updates = int(count)
        get_ema_multi_avg_fn(min(decay, (1 + updates) / (10 + updates)))(means, values, count)

    return AveragedModel(module, multi_avg_fn=follow, use_buffers=False).requires_grad_(False)
