"""Weights, gradients and the optimiser's state spread over processes: FSDP2, PyTorch's fully_shard."""

from __future__ import annotations

from torch import distributed, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

from latent_tts.nn.transformer import Block


def shard(network: nn.Module, mesh: DeviceMesh) -> None:
    """Spread ``network``, whose ``loss`` is what is called, over ``mesh``; process 0 says what its weights are.

    Each block of its Transformers is gathered when its turn comes and let go again; the rest is gathered with ``loss``.
    Between calls every process holds its part of each parameter, so an average of two networks spread alike is local.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        distributed.broadcast(tensor.detach(), 0)
    for block in [module for module in network.modules() if isinstance(module, Block)]:
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh, reshard_after_forward=True)
    register_fsdp_forward_method(network, "loss")
