"""The server's routes: OpenAI's speech interface, voices, and what a machine asks about the server itself."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from dataclasses import replace
from typing import Annotated

import numpy as np
from fastapi import APIRouter, FastAPI, File, Form, Response, UploadFile
from fastapi.responses import JSONResponse, PlainTextResponse

from latent_tts import audio
from latent_tts.encoders import FORMATS
from latent_tts.frames import Voice
from latent_tts.scheduler import Scheduler
from latent_tts.server.connections import Gate
from latent_tts.server.metrics import MEDIA_TYPE, Metrics
from latent_tts.server.replies import ApiError, add_handlers
from latent_tts.server.speech import SpeechReply, SpeechRequest, encoded, events
from latent_tts.voices import NAME, VoiceStore

OWN_VOICE = "default"  # the model's own
ALIASES = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")  # what clients ask for that know OpenAI's models only
UPLOAD_BYTES = 25 * 2**20
VOICES = 1000  # that may be saved

log = logging.getLogger(__name__)


def create_app(scheduler: Scheduler, store: VoiceStore, own: Voice, key: str | None = None) -> FastAPI:
    """The application, without the page. ``own`` is the voice called ``default``; ``key`` is asked of everybody."""
    app, metrics = FastAPI(title="latent_tts", docs_url=None, redoc_url=None), Metrics()
    add_handlers(app)
    app.include_router(speech_routes(scheduler, store, own, metrics))
    app.include_router(voice_routes(scheduler, store))
    app.include_router(status_routes(scheduler, metrics))
    app.add_middleware(Gate, key=key, answered=metrics.answered)
    return app


def speech_routes(scheduler: Scheduler, store: VoiceStore, own: Voice, metrics: Metrics) -> APIRouter:
    """Speak, and the models that can."""
    router, tts = APIRouter(prefix="/v1"), scheduler.tts
    names = (tts.folder.name, *ALIASES)
    models = {n: {"id": n, "object": "model", "created": int(time.time()), "owned_by": "latent_tts"} for n in names}

    def voice_named(name: str) -> Voice:
        if name == OWN_VOICE:
            return own
        if name not in store.list():
            message = f"no voice {name[:64]!r} here; GET /v1/audio/voices lists those that are"
            raise ApiError(400, message, "voice", "voice_not_found")
        return store.load(name)

    @router.post("/audio/speech")
    async def speak(request: SpeechRequest) -> Response:
        await show_model(request.model)
        make, media_type = FORMATS[request.response_format]
        encoder, voice = make(tts.sample_rate), await asyncio.to_thread(voice_named, request.voice_name)
        speech = await scheduler.speak(request.input, voice, request.sampling)
        metrics.characters += len(request.input)
        sound = encoded(speech, encoder, tts.sample_rate, metrics)
        if request.stream_format == "sse":
            sound, media_type = events(sound, speech), "text/event-stream"
        return SpeechReply(sound, speech, media_type)

    @router.get("/models")
    async def list_models() -> dict:
        return {"object": "list", "data": [*models.values()]}

    @router.get("/models/{name}")
    async def show_model(name: str) -> dict:
        if name not in models:
            raise ApiError(404, f"no model {name[:64]!r} here; {names[0]} is", "model", "model_not_found")
        return models[name]

    return router


def voice_routes(scheduler: Scheduler, store: VoiceStore) -> APIRouter:
    """The voices that are saved; new ones come with a recording and their owner's consent."""
    router, turn = APIRouter(prefix="/v1/audio/voices"), asyncio.Semaphore(1)  # one recording is decoded at a time

    def check_name(name: str) -> None:
        names = store.list()
        if name == OWN_VOICE or name in names:
            raise ApiError(409, f"a voice {name!r} is here already; delete it, or choose another name", "name")
        if len(names) >= VOICES:
            raise ApiError(409, f"{VOICES} voices are saved, which is all there may be; delete one", "name")

    @router.get("")
    async def list_voices() -> dict:
        names = [OWN_VOICE, *(await asyncio.to_thread(store.list))]
        voices = [described(name) for name in names]
        return {"object": "list", "data": voices, "voices": voices}  # clients ask for either

    @router.post("")
    async def add_voice(
        name: Annotated[str, Form(pattern=f"^{NAME}$")],
        consent: Annotated[str, Form(min_length=10, max_length=2000)],
        audio_sample: Annotated[UploadFile, File()],
        text: Annotated[str | None, Form(max_length=1000)] = None,
        rehearse: Annotated[bool, Form()] = False,
    ) -> dict:
        """``consent`` is a statement in words, which is kept in the voice; ``text`` is what the recording says. A voice
        that may ``rehearse`` is nearer to the recording and takes longer to make."""
        async with turn:
            await asyncio.to_thread(check_name, name)
            wav, rate = await decoded(audio_sample)
            voice = await scheduler.call(scheduler.tts.clone, wav, text, rate, rehearse)
            await asyncio.to_thread(store.save, name, replace(voice, consent=consent))
        log.info("voice %s saved; consent: %s", name, " ".join(consent.split()))
        return described(name) | {"created_at": int(time.time())}

    @router.delete("/{name}")
    async def remove_voice(name: str) -> dict:
        if name not in await asyncio.to_thread(store.list):
            raise ApiError(404, f"no saved voice {name[:64]!r} here", "name", "voice_not_found")
        await asyncio.to_thread(store.remove, name)
        return {"id": name, "object": "audio.voice.deleted", "deleted": True}

    return router


async def decoded(recording: UploadFile) -> tuple[np.ndarray, int]:
    """An uploaded reference as a wav (T,), and its rate; no more than a minute is ever decoded."""
    content = await recording.read(UPLOAD_BYTES + 1)
    if len(content) > UPLOAD_BYTES:
        raise ApiError(413, f"send a recording of at most {UPLOAD_BYTES // 2**20} MB", "audio_sample")
    return await asyncio.to_thread(audio.read_reference, io.BytesIO(content))


def described(name: str) -> dict[str, str]:
    return {"id": name, "object": "audio.voice", "name": name, "type": "audio_sample"}


def status_routes(scheduler: Scheduler, metrics: Metrics) -> APIRouter:
    """Whether the server lives, whether it can speak, what it has done; and a plain no to everything else in /v1."""
    router = APIRouter()

    @router.get("/health")
    async def health() -> dict:
        return {"status": "ok"}

    @router.get("/ready")
    async def ready() -> JSONResponse:
        return JSONResponse({"status": "ready" if scheduler.alive else "ended"}, 200 if scheduler.alive else 503)

    @router.get("/metrics")
    async def show_metrics() -> PlainTextResponse:
        return PlainTextResponse(metrics.text(scheduler), media_type=MEDIA_TYPE)

    @router.api_route("/v1/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
    async def nothing(rest: str) -> None:
        raise ApiError(404, "there is nothing at this address; /openapi.json lists what is")

    return router
