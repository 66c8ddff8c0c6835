"""Which arithmetic a device is fast in."""

from __future__ import annotations

import torch


def multiplies_bf16(device: torch.device | str) -> bool:
    """Whether ``device`` has instructions for products in bf16. A CPU without them takes dozens of times as long as in
    fp32, a GPU is taken to have them."""
    if torch.device(device).type != "cpu":
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
