"""Pictures of speech: log-mel spectrograms above each other, with phones where it is known when they begin."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from latent_tts.nn.spectral import LogMel


@dataclass(frozen=True)
class Panel:
    """One spectrogram: ``wav`` (T,) under a ``title``, and (seconds, phone) ``marks`` over it."""

    title: str
    wav: np.ndarray
    sample_rate: int
    marks: Sequence[tuple[float, str]] = ()


def draw(path: Path, panels: Sequence[Panel]) -> None:
    """Write a PNG of the panels, all on one scale of time; it appears whole or not at all."""
    from matplotlib.figure import Figure

    longest = max(len(panel.wav) / panel.sample_rate for panel in panels)
    figure = Figure(figsize=(2 + 1.8 * longest, 2.6 * len(panels)), dpi=80, layout="constrained")
    for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels):
        seconds = len(panel.wav) / panel.sample_rate
        axes.imshow(log_mel(panel).T, origin="lower", aspect="auto", extent=(0, seconds, 0, 80), cmap="magma")
        axes.set(xlim=(0, longest), ylabel="mel band")
        axes.set_title(panel.title, loc="left", fontsize=9, parse_math=False)
        for onset, phone in panel.marks:
            axes.axvline(onset, color="white", linewidth=0.4)
            axes.text(onset, 76, phone, color="white", fontsize=7, verticalalignment="top")
    figure.supxlabel("seconds", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    figure.savefig(beside, format="png")
    os.replace(beside, path)


def log_mel(panel: Panel) -> np.ndarray:
    """(N, 80) natural-log mel magnitudes, 100 a second."""
    spectrum = LogMel(panel.sample_rate, panel.sample_rate // 20, panel.sample_rate // 100, 80)
    return spectrum(torch.from_numpy(np.asarray(panel.wav, dtype=np.float32))[None])[0].numpy()
