"""The four laws of every codec and language model, as functions. In all of them time is dimension 1.

The tests of the parts run them: ``tests/codec/test_autoencoder.py`` and ``tests/lm/test_latent_lm.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from latent_tts.model_dir import save_part
from latent_tts.nn.state import State


def assert_close(output: Tensor, wanted: Tensor, tolerance: float = 1e-4) -> None:
    """Equal shapes, and equal values but for ``tolerance`` of the largest; an output of zeros proves nothing."""
    assert output.shape == wanted.shape, f"{tuple(output.shape)}, wanted {tuple(wanted.shape)}"
    assert wanted.isfinite().all() and wanted.abs().max() > 1e-3
    error = (output - wanted).abs().max() / wanted.abs().max().clamp(min=1)
    assert error < tolerance, f"off by {error:.2e}"


def causal(function: Callable[[Tensor], Tensor], signal: Tensor, cut: int) -> None:
    """Prefix in, prefix out: what comes after ``cut`` changes the output, but not its beginning."""
    whole, prefix = function(signal), function(signal[:, :cut])
    count = prefix.shape[1]
    assert 0 < count < whole.shape[1]
    other = signal.clone()
    other[:, cut:] = other[:, cut:].flip(0, 1) * 2 + 0.1
    changed = function(other)
    assert_close(prefix, whole[:, :count])
    assert_close(changed[:, :count], whole[:, :count])
    assert (changed[:, count:] - whole[:, count:]).abs().max() > 1e-3


def streams(
    function: Callable[[Tensor, State | None], Tensor], signal: Tensor, size: int, lookahead: int = 0
) -> None:
    """Chunked == whole, for chunks of ``size``, with another stream running on the same model meanwhile. Behind a
    stream come ``lookahead`` steps of silence."""
    silence = signal.new_zeros(len(signal), lookahead, *signal.shape[2:])
    whole, other = function(signal, None), signal.flip(1)
    state, other_state, pieces, other_pieces = State(), State(), [], []
    chunks, other_chunks = (torch.cat([x, silence], 1).split(size, 1) for x in (signal, other))
    for piece, other_piece in zip(chunks, other_chunks):
        pieces.append(function(piece, state))
        other_pieces.append(function(other_piece, other_state))
    assert_close(torch.cat(pieces, 1), whole)
    assert_close(torch.cat(other_pieces, 1), function(other, None))


def round_trip(
    folder: Path,
    part: str,
    module: nn.Module,
    load: Callable[[Path], nn.Module],
    function: Callable[[nn.Module], Tensor],
) -> None:
    """Saved == loaded, within fp16 the first time and exactly the second time; so is what ``function`` makes of it."""
    save_part(folder / "once", part, module)
    loaded = load(folder / "once")
    assert loaded.config == module.config and not loaded.training
    own, tensors = module.state_dict(), loaded.state_dict()
    assert own.keys() == tensors.keys()
    assert all(torch.allclose(tensors[k], own[k], rtol=1e-3, atol=1e-6) for k in own)
    assert_close(function(loaded), function(module), 3e-2)
    save_part(folder / "twice", part, loaded)
    again = load(folder / "twice")
    assert all(torch.equal(again.state_dict()[k], tensors[k]) for k in tensors)
    assert torch.equal(function(again), function(loaded))


def batch_is_rows(function: Callable[[list], list[Tensor]], rows: list) -> None:
    """A ragged batch == one by one: ``function`` takes rows, any number at once, and gives the output (n, ...) of each.

    Rows alone and together must draw the same noise.
    """
    together = function(rows)
    assert len(together) == len(rows) and len({len(output) for output in together}) > 1
    for row, output in zip(rows, together):
        assert_close(output, function([row])[0])
