"""A request to speak, and the answer: sound, or events with sound in them, sent while it is made."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from latent_tts.encoders import FORMATS, PcmEncoder
from latent_tts.frames import Sampling
from latent_tts.scheduler import Speech
from latent_tts.server.metrics import Metrics

MAX_CHARACTERS = 4096
MAX_STEPS = 50  # of the solver: each costs as much as the others

log = logging.getLogger(__name__)


class VoiceId(BaseModel):
    id: str


class SpeechRequest(BaseModel):
    """The body of ``POST /v1/audio/speech``: OpenAI's fields, and below them what else can be chosen here."""

    model_config = ConfigDict(extra="forbid")

    model: str
    input: Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS)]
    voice: str | VoiceId
    response_format: Literal[tuple(FORMATS)] = "mp3"
    speed: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    stream_format: Literal["audio", "sse"] = "audio"
    instructions: Annotated[str, Field(max_length=0)] | None = None  # for the sake of clients that send it empty

    seed: Annotated[int, Field(ge=0, lt=2**63)] = Sampling.seed
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] = Sampling.steps
    guidance: Annotated[float, Field(ge=0, le=20)] = Sampling.guidance
    temperature: Annotated[float, Field(ge=0, le=2)] = Sampling.temperature

    @property
    def voice_name(self) -> str:
        return self.voice if isinstance(self.voice, str) else self.voice.id

    @property
    def sampling(self) -> Sampling:
        names = ("seed", "steps", "guidance", "temperature", "speed")
        return Sampling(**{name: getattr(self, name) for name in names})


class SpeechReply(StreamingResponse):
    """Sends a speech while it is made, and closes it however that ends: also when the client has gone."""

    def __init__(self, sound: AsyncIterator[bytes], speech: Speech, media_type: str):
        self.speech = speech
        super().__init__(sound, media_type=media_type, headers={"Cache-Control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.speech.close()


async def encoded(speech: Speech, encoder: PcmEncoder, rate: int, metrics: Metrics) -> AsyncIterator[bytes]:
    """The bytes of a speech at ``rate`` Hz as they become ready."""
    silent = True
    async for chunk in speech:
        if silent:
            metrics.first_sound(time.monotonic() - speech.began)
        silent = False
        metrics.audio_seconds += len(chunk) / rate
        if content := encoder.encode(chunk):
            yield content
    yield encoder.finish()


async def events(sound: AsyncIterator[bytes], speech: Speech) -> AsyncIterator[bytes]:
    """The same as server-sent events: OpenAI's ``speech.audio.delta`` and, at the end, ``speech.audio.done``."""
    try:
        async for content in sound:
            yield _event(type="speech.audio.delta", audio=base64.b64encode(content).decode())
    except Exception:
        log.exception("a speech broke off")
        yield _event(type="error", error={"type": "server_error", "message": "the speech broke off; ask again"})
        return
    usage = {"input_tokens": speech.phones, "output_tokens": speech.frames}
    yield _event(type="speech.audio.done", usage=usage | {"total_tokens": sum(usage.values())})


def _event(**content: object) -> bytes:
    return f"data: {json.dumps(content)}\n\n".encode()
