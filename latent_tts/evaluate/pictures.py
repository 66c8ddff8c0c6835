"""Pictures to look at: panels above each other, log-mel spectrograms of sounds, their pitch, trajectories of frames."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from latent_tts.files import write_whole
from latent_tts.nn.spectral import LogMel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLOOR = 1e-4  # of mel magnitudes; all spectrograms share one scale of brightness
VOICES = 60, 500  # Hz between which a pitch is looked for


class Panel(Protocol):
    """One of the pictures above each other: a title, a length in seconds, and a way to paint itself."""

    title: str

    @property
    def seconds(self) -> float: ...

    def paint(self, axes: Axes) -> None: ...


@dataclass(frozen=True)
class Spectrogram:
    """The spectrogram of ``wav`` (T,), with (seconds, phone) ``marks`` over it where it is known when phones begin."""

    title: str
    wav: np.ndarray
    sample_rate: int
    marks: Sequence[tuple[float, str]] = ()

    @property
    def seconds(self) -> float:
        return len(self.wav) / self.sample_rate

    def paint(self, axes: Axes) -> None:
        scale = {"vmin": np.log(FLOOR), "vmax": 1.0, "cmap": "magma"}
        extent = (0, self.seconds, 0, 80)
        axes.imshow(self.log_mel().T, origin="lower", aspect="auto", extent=extent, **scale)
        axes.set_ylabel("mel band")
        for onset, phone in self.marks:
            axes.axvline(onset, color="white", linewidth=0.4)
            axes.text(onset, 76, phone, color="white", fontsize=7, verticalalignment="top")

    def log_mel(self) -> np.ndarray:
        """(N, 80) natural-log mel magnitudes, 100 a second."""
        spectrum = LogMel(self.sample_rate, self.sample_rate // 20, self.sample_rate // 100, 80, FLOOR)
        return spectrum(torch.from_numpy(np.asarray(self.wav, dtype=np.float32))[None])[0].numpy()


@dataclass(frozen=True)
class Pitch:
    """The pitch of each of ``sounds``, samples (T,) and their rate by a name, over each other."""

    title: str
    sounds: Mapping[str, tuple[np.ndarray, int]]

    @property
    def seconds(self) -> float:
        return max(len(wav) / rate for wav, rate in self.sounds.values())

    def paint(self, axes: Axes) -> None:
        for name, (wav, rate) in self.sounds.items():
            contour = self.contour(wav, rate)
            axes.plot(np.arange(len(contour)) / 100, contour, linewidth=1.2, label=name)
        axes.set_yscale("log")
        axes.set_ylim(*VOICES)
        axes.set_yticks([75, 100, 150, 200, 300, 400], [75, 100, 150, 200, 300, 400])
        axes.minorticks_off()
        axes.set_ylabel("Hz")
        axes.legend(ncols=len(self.sounds), fontsize=8, loc="upper right", frameon=False)

    @staticmethod
    def contour(wav: np.ndarray, rate: int) -> np.ndarray:
        """(T,) -> Hz (N,), 100 a second, NaN where there is no voice (pYIN, Mauch & Dixon 2014)."""
        import librosa

        sizes = {"frame_length": round(0.064 * rate), "hop_length": rate // 100, "resolution": 0.2}
        low, high = VOICES
        return librosa.pyin(np.asarray(wav, np.float32), fmin=low, fmax=high, sr=rate, **sizes)[0]


@dataclass(frozen=True)
class Trajectory:
    """How the ``lines`` dimensions that vary most of ``frames`` (N, D) move; frame n holds from n / frame_rate on."""

    title: str
    frames: np.ndarray
    frame_rate: float
    lines: int = 4

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.frame_rate

    def paint(self, axes: Axes) -> None:
        times = np.arange(len(self.frames) + 1) / self.frame_rate
        for dimension in self.dimensions():
            values = self.frames[:, dimension]
            axes.step(times, [*values, values[-1]], where="post", linewidth=0.9, label=f"dimension {dimension}")
        axes.set_ylabel("value")
        place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1, "frameon": False}
        axes.legend(ncols=self.lines, fontsize=8, **place)

    def dimensions(self) -> list[int]:
        """The dimensions shown, the one that varies most first."""
        return np.argsort(-self.frames.std(axis=0), kind="stable")[: self.lines].tolist()


def draw(path: Path, panels: Sequence[Panel]) -> None:
    """Write a PNG of the panels, all on one scale of time; it appears whole or not at all."""
    from matplotlib.figure import Figure

    longest = max(panel.seconds for panel in panels)
    figure = Figure(figsize=(2 + 1.8 * longest, 2.6 * len(panels)), dpi=80, layout="constrained")
    for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels):
        panel.paint(axes)
        axes.set_xlim(0, longest)
        axes.set_title(panel.title, loc="left", fontsize=9, parse_math=False)
    figure.supxlabel("seconds", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, figure)


def write_png(path: Path, figure: Figure) -> None:
    """A figure as a PNG that appears whole or not at all."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_whole(path, picture.getvalue())
