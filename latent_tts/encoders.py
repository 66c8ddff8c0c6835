"""Sound to bytes while it is made: what a server sends before it knows the end."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import soxr

from latent_tts import audio
from latent_tts.errors import UserError

PCM_RATE = 24_000  # Hz; what clients of OpenAI's "pcm" expect, which says no rate
AAC_FRAME = 1024  # samples
# In the order in which an ADTS header numbers them (ISO/IEC 14496-3, table 1.16).
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


class PcmEncoder:
    """Samples (n,) at ``rate`` Hz as they come to 16-bit integers, little-endian, at ``new_rate`` Hz."""

    def __init__(self, rate: int, new_rate: int = PCM_RATE):
        self.rate = new_rate
        self._resampler = None if new_rate == rate else soxr.ResampleStream(rate, new_rate, 1, "float32")

    def encode(self, wav: np.ndarray) -> bytes:
        """The bytes that are ready once ``wav`` has come too."""
        return self._encode(wav if self._resampler is None else self._resampler.resample_chunk(wav))

    def finish(self) -> bytes:
        """The bytes that are left."""
        rest = np.zeros(0, np.float32)
        return self._encode(rest if self._resampler is None else self._resampler.resample_chunk(rest, last=True))

    def _encode(self, wav: np.ndarray) -> bytes:
        return audio.to_int16(wav).tobytes()


class WavEncoder(PcmEncoder):
    """The same at the rate of the samples, behind a header whose lengths say "until it ends"."""

    def __init__(self, rate: int):
        super().__init__(rate, rate)
        self._header = audio.endless_wav_header(rate)

    def _encode(self, wav: np.ndarray) -> bytes:
        header, self._header = self._header, b""
        return header + super()._encode(wav)


class FileEncoder(PcmEncoder):
    """A format of ``audio.FORMATS`` whose readers need not know its length before they begin."""

    def __init__(self, rate: int, suffix: str, **quality: object):
        super().__init__(rate, audio.encoder_rate(suffix, rate))
        self._memory, self._sent = io.BytesIO(), 0
        self._file = audio.create(self._memory, suffix, self.rate, **quality)

    def finish(self) -> bytes:
        head = super().finish()
        self._file.close()
        return head + self._new()

    def _encode(self, wav: np.ndarray) -> bytes:
        audio.append(self._file, wav)
        return self._new()

    def _new(self) -> bytes:
        content = bytes(self._memory.getbuffer()[self._sent :])
        self._sent += len(content)
        return content


class FlacEncoder(FileEncoder):
    """All of it at the end: libsndfile refuses a flac that does not say its length at its beginning."""

    def __init__(self, rate: int):
        super().__init__(rate, ".flac")

    def _new(self) -> bytes:
        return super()._new() if self._file.closed else b""


class Mp3Encoder(FileEncoder):
    """At a constant bit rate: of another, players would guess a wrong length, which is written at the end."""

    def __init__(self, rate: int):
        super().__init__(rate, ".mp3", bitrate_mode="CONSTANT", compression_level=0.5)


class AacEncoder(PcmEncoder):
    """AAC-LC in ADTS frames, by PyAV, which the extras ``server`` and ``demo`` bring."""

    def __init__(self, rate: int):
        try:
            import av
        except ImportError:
            raise UserError("aac needs PyAV; install it with: pip install 'latent-tts[server]'") from None

        super().__init__(rate, min(AAC_RATES, key=lambda near: abs(near - rate)))
        self._frame = av.AudioFrame.from_ndarray
        self._memory = io.BytesIO()
        self._container = av.open(self._memory, "w", format="adts")
        self._stream = self._container.add_stream("aac", rate=self.rate, layout="mono")

    def finish(self) -> bytes:
        head = super().finish()
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return head + self._new()

    def _encode(self, wav: np.ndarray) -> bytes:
        if len(wav):
            frame = self._frame(np.clip(wav, -1.0, 1.0)[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate = self.rate
            self._container.mux(self._stream.encode(frame))
        return self._new()

    def _new(self) -> bytes:
        content = self._memory.getvalue()
        self._memory.seek(0)
        self._memory.truncate()
        return content


def adts_seconds(content: bytes) -> float:
    """How long whole ADTS frames, such as ``AacEncoder`` gives, play."""
    seconds, at = 0.0, 0
    while at + 7 <= len(content):
        seconds += AAC_FRAME / AAC_RATES[content[at + 2] >> 2 & 15]
        at += (content[at + 3] & 3) << 11 | content[at + 4] << 3 | content[at + 5] >> 5
    return seconds


# The names of OpenAI's response formats: how to make one from the rate of the samples, and its media type.
FORMATS: dict[str, tuple[Callable[[int], PcmEncoder], str]] = {
    "mp3": (Mp3Encoder, "audio/mpeg"),
    "opus": (lambda rate: FileEncoder(rate, ".opus"), "audio/ogg"),
    "aac": (AacEncoder, "audio/aac"),
    "flac": (FlacEncoder, "audio/flac"),
    "wav": (WavEncoder, "audio/wav"),
    "pcm": (PcmEncoder, "audio/pcm"),
}
