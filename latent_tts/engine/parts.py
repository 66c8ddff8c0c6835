"""Parts of a model that run a graph in ONNX Runtime, each in the place of the torch module it was traced from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from latent_tts.frames import Sampling
from latent_tts.nn.attention import rotary
from latent_tts.nn.state import State, remember

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ROOM = 128  # steps for which a stream's cache has room at first; doubled when they are used up


class GraphTransformer(nn.Module):
    """A Transformer (B, N, H) -> (B, N, H) whose cache stays where it is: a step writes its own keys and values.

    ``state`` and ``padding`` as in ``Transformer``. Rows of a padded batch are moved to the left on their way in, since
    the graph counts each row's steps from its own beginning.
    """

    def __init__(self, session: InferenceSession):
        super().__init__()
        self.session = session
        self.cache_names = [i.name for i in session.get_inputs() if i.name.startswith(("keys", "values"))]
        _, self.heads, _, self.width = next(i.shape for i in session.get_inputs() if i.name == "keys_0")

    def forward(self, x: Tensor, state: State | None = None, padding: Tensor | None = None) -> Tensor:
        if state is None or self not in state:
            cache = _Cache(self, len(x), x.shape[1])
            remember(self, state, cache)
            return cache.begin(x, padding)
        return torch.cat([state[self].step(one) for one in x.split(1, dim=1)], dim=1)


class _Cache:
    """What a stream through a GraphTransformer remembers: buffers that the graph reads and writes, bound to it once."""

    def __init__(self, network: GraphTransformer, batch: int, steps: int):
        self.network, self.room = network, max(ROOM, 2 * steps)
        shape = (batch, network.heads, self.room, network.width)
        self.buffers = {name: np.zeros(shape, np.float32) for name in network.cache_names}
        self.lens = np.zeros(batch, np.int32)  # steps that each row has seen
        self._bind(steps)

    def begin(self, x: Tensor, padding: Tensor | None) -> Tensor:
        """The first steps (B, N, H) of rows whose first ``padding`` (B,) are to be hidden; what those give is zero."""
        count = x.shape[1]
        if padding is None:
            self.lens[:] = count
            return self._run(x, count)
        self.lens[:] = count - padding.numpy()
        place = torch.arange(count) + padding[:, None]
        left = x.gather(1, place.clamp(max=count - 1)[..., None].expand_as(x))
        y = self._run(left, count)
        back = torch.arange(count) - padding[:, None]
        y = y.gather(1, back.clamp(min=0)[..., None].expand_as(y))
        return y * (back >= 0)[..., None]

    def step(self, x: Tensor) -> Tensor:
        """(B, 1, H) -> (B, 1, H)."""
        self.lens += 1
        count = int(self.lens.max())
        if count > self.room:
            self._grow()
        if self.x.shape[1] != 1:
            self._bind(1)
        return self._run(x, count)

    def clone(self) -> _Cache:
        other = object.__new__(_Cache)
        other.network, other.room, other.lens = self.network, self.room, self.lens.copy()
        other.buffers = {name: buffer.copy() for name, buffer in self.buffers.items()}
        other._bind(1)
        return other

    def _run(self, x: Tensor, count: int) -> Tensor:
        self.x[...], self.count[...] = x.numpy(), count
        np.subtract(self.lens, 1, out=self.last)
        self.network.session.run_with_iobinding(self.binding)
        return torch.from_numpy(self.y.copy())

    def _grow(self) -> None:
        spare = ((0, 0), (0, 0), (0, self.room), (0, 0))
        self.buffers = {name: np.pad(buffer, spare) for name, buffer in self.buffers.items()}
        self.room *= 2
        self._bind(1)

    def _bind(self, steps: int) -> None:
        """Tell the graph where inputs and outputs lie for so many steps at a time; it keeps no array alive itself."""
        from onnxruntime import OrtValue

        width, batch = self.network.width, len(self.lens)
        self.x, self.y = (np.empty((batch, steps, self.network.heads * width), np.float32) for _ in range(2))
        self.last, self.count = np.empty(batch, np.int32), np.empty((), np.int32)
        tables = (table[:, : width // 2].contiguous().numpy() for table in rotary(torch.arange(self.room), width))
        inputs = {"x": self.x, "last": self.last, "count": self.count, **dict(zip(("cos", "sin"), tables))}
        outputs = {"y": self.y, **{f"new_{name}": buffer for name, buffer in self.buffers.items()}}
        self.binding, self.bound = self.network.session.io_binding(), (inputs, outputs)
        for name, array in (inputs | self.buffers).items():
            self.binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(array))
        for name, array in outputs.items():
            self.binding.bind_ortvalue_output(name, OrtValue.ortvalue_from_numpy(array))


class GraphHead(nn.Module):
    """A head whose ``sample`` is a graph, one for each number of steps and for sampling without guidance.

    ``session_of`` gives it. Its evaluations stand one behind the other, so for more than ``longest`` steps there is no
    graph, and the module that ``torch_head`` gives samples.
    """

    longest = 64

    def __init__(
        self, session_of: Callable[[Sampling], InferenceSession], torch_head: Callable[[], nn.Module], noise_dim: int
    ):
        super().__init__()
        self.session_of, self.torch_head, self.noise_dim = session_of, torch_head, noise_dim

    def sample(self, cond: Tensor, null: Tensor, sampling: Sampling, noise: Tensor) -> Tensor:
        """Conditions (B, H), unit noise (B, noise_dim) -> frames (B, D). The null condition is in the graph."""
        if sampling.steps > self.longest:
            return self.torch_head().sample(cond, null, sampling, noise)
        session = self.session_of(sampling)
        given = {
            "cond": cond.contiguous().numpy(),
            "noise": noise.contiguous().numpy(),
            "guidance": np.array(sampling.guidance, np.float32),
            "temperature": np.array(sampling.temperature, np.float32),
        }
        wanted = {i.name: given[i.name] for i in session.get_inputs()}
        return torch.from_numpy(session.run(None, wanted)[0])

    def evaluations(self, sampling: Sampling) -> int:
        return self.torch_head().evaluations(sampling)


class GraphDecoder(nn.Module):
    """A codec's decoder: latents z (B, N, D) -> sound (B, N * hop_length), streaming by ``state`` as the module it was
    traced from."""

    def __init__(self, session: InferenceSession):
        super().__init__()
        self.session = session
        self.states = {i.name: i.shape[1:] for i in session.get_inputs() if i.name.startswith("state")}

    def forward(self, z: Tensor, state: State | None = None) -> Tensor:
        fresh = state is None or self not in state
        before = self._fresh(len(z)) if fresh else [value.numpy() for value in state[self]]
        wav, *after = self.session.run(None, {"z": z.contiguous().numpy(), **dict(zip(self.states, before))})
        remember(self, state, tuple(torch.from_numpy(value) for value in after))
        return torch.from_numpy(wav)

    def _fresh(self, batch: int) -> list[np.ndarray]:
        return [np.zeros((batch, *shape), np.float32) for shape in self.states.values()]
