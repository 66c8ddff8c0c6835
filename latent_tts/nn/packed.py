"""Linear layers for inference on a CPU, with weights laid out beforehand in half precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """What an ``nn.Linear`` computes, from weights packed once as fp16 (FBGEMM): (..., C_in) -> (..., C_out), fp32.

    A stream multiplies few rows at a time; then an ordinary product spends its time on reading fp32 weights and on
    packing them anew. Sums are taken in fp32; weights that were stored as fp16 lose nothing.
    """

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weights = torch.ops.quantized.linear_prepack_fp16(linear.weight.detach().float(), linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.quantized.linear_dynamic_fp16.default(x, self.weights)


def packed(module: nn.Module) -> nn.Module:
    """``module`` itself, its linear layers replaced where the machine has the kernels (x86); it can no longer learn."""
    if "fbgemm" in torch.backends.quantized.supported_engines:
        for name, child in module.named_children():
            if type(child) is nn.Linear:
                setattr(module, name, PackedLinear(child))
            else:
                packed(child)
    return module
