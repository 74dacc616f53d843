"""Errors of a request, in OpenAI's shape. Knows FastAPI and no engine."""

from http import HTTPStatus

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from skyserve_llm.replica.asgi import error_body
from skyserve_llm.replica.protocol import FieldError

INVALID_REQUEST = "invalid_request_error"
SERVER_ERROR = "server_error"


class ApiError(Exception):
    """A request that cannot be answered: status, message, and OpenAI's ``param`` and ``code``."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        kind = SERVER_ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else INVALID_REQUEST
        self.body = error_body(message, kind=kind, param=param, code=code)


def bad_field(error: ValidationError) -> ApiError:
    """The first thing wrong with a body, named by the field it is about."""
    first = error.errors(include_url=False, include_input=False)[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, FieldError):
        return ApiError(400, f"{cause.param}: {cause}", param=cause.param)
    param = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if not param:
        return ApiError(400, f"The body of the request is wrong: {message}")
    return ApiError(400, f"{param}: {message}", param=param)


def install(app: FastAPI) -> None:
    """Every answer of ``app`` that is an error leaves in OpenAI's shape."""

    @app.exception_handler(ApiError)
    async def refused(_: Request, error: ApiError) -> JSONResponse:
        return JSONResponse(error.body, error.status)

    # By status: the router raises these for a path or a method that it does not know.
    @app.exception_handler(404)
    @app.exception_handler(405)
    async def not_here(request: Request, error: HTTPException) -> JSONResponse:
        reason = HTTPStatus(error.status_code).phrase
        message = f"{reason}: {request.method} {request.url.path}"
        body = error_body(message, kind=INVALID_REQUEST)
        return JSONResponse(body, error.status_code, headers=error.headers)

    # The router raises the error again after this answer, so the gate learns of it too.
    @app.exception_handler(Exception)
    async def failed(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse(error_body("The replica failed.", kind=SERVER_ERROR), 500)
