"""A training step recorded once as CUDA graphs and replayed: where a step is many small operations, a GPU waits for the
program that launches them, and a graph launches them all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Stage = Callable[[Tensor], dict[str, Tensor]]


class Recording:
    """Stages of a training step, each a function of the batch that leaves gradients and returns scalars.

    ``recording(number, batch)`` does on the GPU what stage ``number`` did when it was recorded, with the values of
    ``batch`` and with whatever the weights now hold; between stages an optimiser may move them. A later stage may go on
    from what an earlier one made. All of them must work on batches of one shape, ask for no value of a tensor, and
    take away the gradients that they bring anew: these then lie where every replay writes them, and must stay there
    (no ``zero_grad`` between replays). Random numbers follow ``torch.manual_seed``. The way of
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs, "Whole-network capture".
    """

    def __init__(self, stages: Sequence[Stage], batch: Tensor, warm_up: int = 3):
        self.batch, self.graphs, self.told = batch.clone(), [], []
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(warm_up):  # convolutions look for their fastest algorithms, which cannot be recorded
                for stage in stages:
                    self._uncached(stage)
        torch.cuda.current_stream().wait_stream(beside)
        pool = None
        for stage in stages:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, stream=beside):
                self.told.append(self._uncached(stage))
            self.graphs.append(graph)
            pool = graph.pool()

    def __call__(self, number: int, batch: Tensor) -> dict[str, Tensor]:
        self.batch.copy_(batch)
        self.graphs[number].replay()
        return {name: value.clone() for name, value in self.told[number].items()}

    def _uncached(self, stage: Stage) -> dict[str, Tensor]:
        """What autocast keeps of weights in bf16 would be neither recorded nor made anew."""
        with torch.autocast(
            "cuda",
            dtype=torch.get_autocast_dtype("cuda"),
            enabled=torch.is_autocast_enabled("cuda"),
            cache_enabled=False,
        ):
            return stage(self.batch)
