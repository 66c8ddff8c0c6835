"""What a network remembers between two chunks of one stream: a value that the caller owns."""

from __future__ import annotations

from torch import nn


class State(dict):
    """Maps a module to what it remembers; every stateful ``forward(x, state)`` reads and writes its own entry.

    An empty ``State()`` starts a stream; ``None`` in its place means "x is the whole signal". Two streams with two
    states never meet on one model.
    """

    def fork(self) -> State:
        """An independent copy, so that one prompt can serve many continuations."""
        return State({module: _clone(value) for module, value in self.items()})


def _clone(value):
    return tuple(_clone(item) for item in value) if isinstance(value, tuple) else value.clone()


def remember(module: nn.Module, state: State | None, value) -> None:
    """Write ``module``'s entry where there is a stream to write to."""
    if state is not None:
        state[module] = value
