"""Weights, gradients and the optimiser's state spread over processes: FSDP2, PyTorch's fully_shard."""

from __future__ import annotations

from torch import distributed, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method


def shard(network: nn.Module, blocks: nn.ModuleList, mesh: DeviceMesh) -> None:
    """Spread ``network``, whose ``loss`` is what is called, over ``mesh``; process 0 says what its weights are.

    Each of ``blocks`` is gathered when its turn comes and let go again; the rest is gathered with ``loss``. Between
    calls every process holds its part of each parameter, so an average of two networks spread alike is local.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        distributed.broadcast(tensor.detach(), 0)
    for block in blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh, reshard_after_forward=True)
    register_fsdp_forward_method(network, "loss")
