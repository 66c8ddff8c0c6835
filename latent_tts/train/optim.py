"""Optimiser groups, learning-rate schedule and averaged weights."""

from __future__ import annotations

import math

from torch import nn
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
    return AdamW(groups, lr=lr, betas=betas)


def warmup_cosine(optimizer: Optimizer, warmup: int, total: int, floor: float = 0.05) -> LambdaLR:
    """Linear warm-up over ``warmup`` steps, then a half cosine down to ``floor`` of the peak at step ``total``."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, total - warmup))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def averaged(module: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of ``module``'s weights; ``.module`` is the averaged network."""
    return AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=False)
