"""What the server says when it cannot do what it was asked: one line, in the shape of OpenAI's errors."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from latent_tts.errors import UserError
from latent_tts.scheduler import Busy

log = logging.getLogger(__name__)


class ApiError(Exception):
    """An answer with an HTTP ``status``; ``param`` names the part of the request that it is about."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None):
        super().__init__(message)
        self.status, self.param, self.code = status, param, code


def error_reply(
    status: int, message: str, param: str | None = None, code: str | None = None, **headers: str
) -> JSONResponse:
    """``{"error": {"message", "type", "param", "code"}}``, the message in one line."""
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status, "invalid_request_error")
    error = {
        "message": " ".join(message.split()),
        "type": kind if status < 500 else "server_error",
        "param": param,
        "code": code,
    }
    return JSONResponse({"error": error}, status, {name.replace("_", "-"): value for name, value in headers.items()})


def add_handlers(app: FastAPI) -> None:
    """Turn every exception that a request can raise into ``error_reply``."""

    @app.exception_handler(ApiError)
    async def known(request: Request, error: ApiError) -> JSONResponse:
        return error_reply(error.status, str(error), error.param, error.code)

    @app.exception_handler(UserError)
    async def unusable(request: Request, error: UserError) -> JSONResponse:
        return error_reply(400, str(error))

    @app.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> JSONResponse:
        return error_reply(429, str(error), code="rate_limit_exceeded", Retry_After=str(error.seconds))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"] if part not in ("body", "query", "path")]
        param = ".".join(place[:1]) or None
        return error_reply(400, f"{param or 'the request'}: {first['msg']}", param)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return error_reply(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        log.exception("a request failed", exc_info=error)
        return error_reply(500, "something went wrong here; the server's log says what")
