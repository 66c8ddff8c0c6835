"""A server that really listens, with a tiny model."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from tiny import tiny_model

from latent_tts.frames import Voice
from latent_tts.scheduler import Scheduler
from latent_tts.server import command
from latent_tts.server.app import create_app
from latent_tts.tts import TTS
from latent_tts.voices import VoiceStore


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The address of ``app``, served by uvicorn in a thread of its own."""
    server, listener = command.uvicorn_server(app), command.listen("127.0.0.1", 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)  # what is not taken is soon felt
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield "http://127.0.0.1:{1}".format(*listener.getsockname())
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="session")
def served_model(tmp_path_factory, reference) -> Path:
    folder = tiny_model(tmp_path_factory.mktemp("model") / "tiny")
    shutil.copy(reference, folder)
    return folder


@pytest.fixture(scope="module")
def tts(served_model) -> TTS:
    return TTS.from_dir(served_model)


@pytest.fixture
def store(tmp_path) -> VoiceStore:
    return VoiceStore(tmp_path / "voices")


@pytest.fixture(scope="module")
def own(tts, served_model) -> Voice:
    return tts.clone(served_model / "reference.flac")


@pytest.fixture
def scheduler(tts) -> Iterator[Scheduler]:
    scheduler = Scheduler(tts)
    yield scheduler
    scheduler.close()


@pytest.fixture
def serve(tts, store, own) -> Callable[..., AbstractContextManager[tuple[str, Scheduler]]]:
    """``with serve(most=2, key="...", page=True) as (address, scheduler)``"""

    @contextmanager
    def start(most: int = 16, key: str | None = None, page: bool = False) -> Iterator[tuple[str, Scheduler]]:
        scheduler = Scheduler(tts, most)
        app = create_app(scheduler, store, own, key)
        if page:
            command.show_page(app, scheduler, store, own)
        try:
            with listening(app) as address:
                yield address, scheduler
        finally:
            scheduler.close()

    return start
