"""A batch on its way through the Transformer's graph, whose cache stays where it is: a step writes its own keys and
values, and nothing is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ROOM = 128  # steps for which the cache has room at first; doubled when they are used up


class Passage:
    """``state`` (B, H) and ``thoughts`` (B, K) of the step taken last, at first those of the last of ``inputs``
    (B, M, H), whose first ``padding`` (B,) of each row are none.

    Rows are moved to the left on their way in, since the graph counts each row's steps from its own beginning.
    """

    def __init__(self, session: InferenceSession, inputs: np.ndarray, padding: np.ndarray):
        self.session, (batch, count, self.wide) = session, inputs.shape
        names = [i.name for i in session.get_inputs() if i.name.startswith(("keys", "values"))]
        _, heads, _, self.width = next(i.shape for i in session.get_inputs() if i.name == "keys_0")
        self.room, self.choices = max(ROOM, 2 * count), session.get_outputs()[1].shape[2]
        self.buffers = {name: np.zeros((batch, heads, self.room, self.width), np.float32) for name in names}
        self.lens = (count - padding).astype(np.int32)  # steps that each row has seen
        self._bind(count)
        for row, length in enumerate(self.lens):
            self.x[row, :length], self.x[row, length:] = inputs[row, count - length :], 0
        self._run(count)
        rows = np.arange(batch)
        self.state, self.thoughts = (y[rows, self.lens - 1] for y in (self.states, self.all_thoughts))

    def step(self, x: np.ndarray) -> None:
        """Go on by x (B, H)."""
        self.lens += 1
        count = int(self.lens.max())
        if count > self.room:
            self._grow()
        if self.x.shape[1] != 1:
            self._bind(1)
        self.x[:, 0] = x
        self._run(count)
        self.state, self.thoughts = self.states[:, 0], self.all_thoughts[:, 0]

    def _run(self, count: int) -> None:
        self.count[...] = count
        np.subtract(self.lens, 1, out=self.last)
        self.session.run_with_iobinding(self.binding)

    def _grow(self) -> None:
        spare = ((0, 0), (0, 0), (0, self.room), (0, 0))
        self.buffers = {name: np.pad(buffer, spare) for name, buffer in self.buffers.items()}
        self.room *= 2
        self._bind(1)

    def _bind(self, steps: int) -> None:
        """Tell the graph where inputs and outputs lie for so many steps at a time; it keeps no array alive itself."""
        from onnxruntime import OrtValue

        batch = len(self.lens)
        self.x, self.states = (np.empty((batch, steps, self.wide), np.float32) for _ in range(2))
        self.all_thoughts = np.empty((batch, steps, self.choices), np.float32)
        self.last, self.count = np.empty(batch, np.int32), np.empty((), np.int32)
        inputs = {"x": self.x, "last": self.last, "count": self.count}
        inputs |= dict(zip(("cos", "sin"), turns(self.room, self.width)))
        outputs = {"state": self.states, "thoughts": self.all_thoughts}
        outputs |= {f"new_{name}": buffer for name, buffer in self.buffers.items()}
        self.binding, self.bound = self.session.io_binding(), (inputs, outputs)
        for name, array in (inputs | self.buffers).items():
            self.binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(array))
        for name, array in outputs.items():
            self.binding.bind_ortvalue_output(name, OrtValue.ortvalue_from_numpy(array))


def turns(count: int, width: int, base: float = 10000.0) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines (count, width / 2) of the first positions, as ``nn.attention.rotary`` has them."""
    rate = base ** (-np.arange(0, width, 2, dtype=np.float32) / width)
    angle = np.arange(count, dtype=np.float32)[:, None] * rate
    return np.cos(angle), np.sin(angle)
