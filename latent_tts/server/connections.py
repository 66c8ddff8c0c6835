"""Connections that cannot be trusted: how many bytes they may send, for how long, and with which key."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from latent_tts.server.replies import error_reply

OPEN_PATHS = ("/health", "/ready")  # answered without a key
BODY_BYTES = {"/v1/audio/speech": 64 * 2**10}  # of a request
OTHER_BODY_BYTES = 26 * 2**20
BODY_SECONDS = 120.0  # within which a request must have come in whole
PATIENCE_SECONDS = 30.0  # with a connection on which nothing moves


class Gate:
    """What every request passes: the key, whose page it comes from, its size, its time (ASGI middleware)."""

    def __init__(self, app: ASGIApp, key: str | None, answered: Callable[[str, int], None]):
        self.app, self.key, self.answered = app, key, answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        send = self._counted(scope["path"], send)
        headers = Headers(scope=scope)
        limit = BODY_BYTES.get(scope["path"], OTHER_BODY_BYTES)
        length = headers.get("content-length", "0")
        if self.key and scope["path"] not in OPEN_PATHS and not has_key(headers.get("authorization", ""), self.key):
            challenge = {"WWW_Authenticate": 'Basic realm="latent_tts"'}  # browsers ask for it; the name is free
            reply = error_reply(401, "a wrong API key or none", code="invalid_api_key", **challenge)
        elif not from_own_page(headers, scope):
            reply = error_reply(403, "requests from pages of other sites are not answered")
        elif not length.isascii() or not length.isdecimal() or int(length[:20]) > limit:
            reply = error_reply(413, f"the request is too large; send at most {limit} bytes")
        else:
            return await self.app(scope, measured(receive, limit), send)
        await reply(scope, receive, send)

    def _counted(self, path: str, send: Send) -> Send:
        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answered(path, message["status"])
            await send(message)

        return count


def has_key(authorization: str, key: str) -> bool:
    """Whether a header is ``Bearer KEY``, or ``Basic`` with the key as password; in a time that tells nothing."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given.strip(), validate=True).decode("utf-8", "replace").partition(":")[2]
        except (binascii.Error, ValueError):
            return False
    known = scheme.lower() in ("bearer", "basic")
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), key.encode("utf-8")) and known


def from_own_page(headers: Headers, scope: Scope) -> bool:
    """False where another site's page asks for something to be done: browsers say so in ``Origin``."""
    origin = headers.get("origin")
    changes = scope["method"] not in ("GET", "HEAD", "OPTIONS") and scope["path"].startswith("/v1/")
    return not origin or not changes or urlsplit(origin).netloc == headers.get("host")


def measured(receive: Receive, limit: int) -> Receive:
    """``receive``, but a body of more than ``limit`` bytes or BODY_SECONDS is an HTTPException."""
    deadline, count, whole = time.monotonic() + BODY_SECONDS, 0, False

    async def receive_some() -> Message:
        nonlocal count, whole
        if whole:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
        except asyncio.TimeoutError:
            raise HTTPException(408, "the request did not come in whole; send it again") from None
        count += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if count > limit:
            raise HTTPException(413, f"the request is too large; send at most {limit} bytes")
        return message

    return receive_some


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection on which nothing moves, though it is the other side's turn: no request
    comes, half of its head has come, or what was answered is not taken."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._timer = self.loop.call_later(PATIENCE_SECONDS, self._look, None)

    def connection_lost(self, error: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(error)

    def _look(self, before: tuple | None) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        unread = self.transport.get_write_buffer_size()
        now = (self.cycle, idle, unread)
        if (idle or unread) and now == before:
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(PATIENCE_SECONDS, self._look, now)
