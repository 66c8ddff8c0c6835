"""Optimiser groups, learning-rate schedule and averaged weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def adamw(module: nn.Module, lr: float, betas: tuple[float, float], weight_decay: float) -> AdamW:
    """AdamW that decays matrices and leaves vectors (biases, gains) alone."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=lr, betas=betas, fused=True)


def warmup_cosine(optimizer: Optimizer, warmup: int, total: int, floor: float = 0.05) -> LambdaLR:
    """Linear warm-up over ``warmup`` steps, then a half cosine down to ``floor`` of the peak at step ``total``."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, total - warmup))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def check_finite(loss: Tensor, part: str, step: int) -> None:
    """FloatingPointError, which ends a run without a checkpoint, where a loss is infinite or not a number."""
    if not torch.isfinite(loss):
        raise FloatingPointError(f"{part}: the loss is {loss.item()} at step {step}; lower lr or look at the data")


def averaged(module: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of ``module``'s weights; ``.module`` is the averaged network."""
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=False)
