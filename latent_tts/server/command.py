"""``tts serve``: load a model, and answer until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from latent_tts.errors import UserError
from latent_tts.frames import Voice
from latent_tts.model_files import own_reference
from latent_tts.scheduler import Scheduler
from latent_tts.server.app import create_app
from latent_tts.server.connections import ImpatientProtocol
from latent_tts.tts import TTS
from latent_tts.voices import VoiceStore

CONNECTIONS = 256
LOCAL = ("127.0.0.1", "::1", "localhost")

log = logging.getLogger(__name__)


def serve(argv: list[str], parser_class: type[argparse.ArgumentParser]) -> int:
    """Run the command; what can be wrong is found before the port is open."""
    args = serve_parser(parser_class).parse_args(argv)
    key = read_key(args.api_key_file)
    listener = listen(args.host, args.port)
    tts = TTS.from_dir(args.model, args.device)
    reference, text = own_reference(tts.folder)
    scheduler, store = Scheduler(tts, args.queue), VoiceStore(args.voices)
    own = tts.clone(reference, text)
    app = create_app(scheduler, store, own, key)
    if not args.no_page:
        show_page(app, scheduler, store, own)
    if args.host not in LOCAL and not key:
        log.warning("anybody who reaches %s may use this server; give an API key", args.host)
    host, port = listener.getsockname()[:2]
    log.info("http://%s:%d/v1/audio/speech speaks; interrupt to end", f"[{host}]" if ":" in host else host, port)
    try:
        uvicorn_server(app).run(sockets=[listener])
    finally:
        scheduler.close()
    return 0


def show_page(app: FastAPI, scheduler: Scheduler, store: VoiceStore, own: Voice) -> None:
    """Put the page beside the interface, where Gradio is installed."""
    try:
        from latent_tts import demo
    except ImportError as error:
        log.info("without the page, which needs %s: pip install 'latent-tts[demo]'", error.name)
    else:
        demo.mount(app, scheduler, store, own)


def serve_parser(parser_class: type[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = parser_class(
        prog="tts serve",
        description="Answer OpenAI's /v1/audio/speech, and show a page beside it.",
        epilog="The environment variable LATENT_TTS_API_KEY is the key, where no file gives one.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on; default: this machine alone")
    add("--port", type=int, default=8000, metavar="N", help="default: 8000; 0 is any free one")
    add("--queue", type=int, default=16, metavar="N", help="texts at a time, others are told to wait; default: 16")
    add("--voices", type=Path, metavar="DIR", help="where voices are saved; default: the user's own")
    add("--api-key-file", type=Path, metavar="FILE", help="asks every client for the key that is in it")
    add("--no-page", action="store_true", help="the interface alone")
    add("--model", metavar="DIR", help="a model directory; default: the one that is shipped")
    add("--device", choices=("cpu", "cuda", "mps"), default="cpu", help="default: cpu")
    return parser


def read_key(path: Path | None) -> str | None:
    """The API key of a file, or else of LATENT_TTS_API_KEY, if there is one. UserError for an unfit one."""
    try:
        key = os.environ.get("LATENT_TTS_API_KEY", "") if path is None else path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: no key can be read from it ({error}); give a text file") from error
    key = key.strip()
    if (path is not None or key) and (len(key) < 8 or not key.isascii() or not key.isprintable()):
        raise UserError("an API key has 8 or more printable ASCII characters; make one with: openssl rand -hex 24")
    return key or None


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; UserError where there can be none."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UserError(f"cannot listen on {host} port {port} ({error}); choose another with --port") from error


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """False for what uvicorn says about each answer that the end of the server has cut short."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def uvicorn_server(app: FastAPI) -> uvicorn.Server:
    """What carries the application. Told to end, it lets what is being answered finish, for a few seconds."""
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=ImpatientProtocol,
            ws="none",
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=5,
            log_config=None,
            access_log=False,
            server_header=False,
        )
    )
