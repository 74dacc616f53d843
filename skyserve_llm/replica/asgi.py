"""ASGI in small: its types, answers without a framework, and calling an app from inside.

The gate is built on this alone, so that it fits around any ASGI app (vLLM's server too).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeVar

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]
Result = TypeVar("Result")


class ClientGoneError(Exception):
    """The client closed the connection: nobody is left to answer."""


async def until_disconnect(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of ``work``, which is cancelled at once when the client goes away.

    For requests whose body has been read: what ``receive`` gives is thrown away.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        working.cancel()
        gone.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first value of a request header; ASGI gives names in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


async def send_bytes(
    send: Send, status: int, body: bytes, *, content_type: str, headers: Headers = ()
) -> None:
    """A whole answer."""
    fixed = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def send_json(send: Send, status: int, value: object, *, headers: Headers = ()) -> None:
    """A whole answer in JSON."""
    body = json.dumps(value).encode()
    await send_bytes(send, status, body, content_type="application/json", headers=headers)


async def send_error(
    send: Send, status: int, message: str, *, kind: str, code: str | None, headers: Headers = ()
) -> None:
    """An error as OpenAI shapes it."""
    await send_json(send, status, error_body(message, kind=kind, code=code), headers=headers)


def error_body(
    message: str, *, kind: str, param: str | None = None, code: str | None = None
) -> dict[str, dict[str, object]]:
    """``{"error": {…}}`` with OpenAI's four fields; ``kind`` is its ``type``."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an app answered to a call from inside."""

    status: int
    body: bytes


async def call(
    app: ASGIApp, method: str, path: str, *, value: object = None, base: Scope | None = None
) -> Answer:
    """Send ``app`` one request without a socket and wait for its whole answer.

    ``base`` carries what the outer server puts into every scope (``app``, ``state``): an app
    whose middleware we are looks those up there.
    """
    body = b"" if value is None else json.dumps(value).encode()
    status, chunks = 0, bytearray()
    unread = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if unread:
            return unread.pop()
        await asyncio.Event().wait()  # an inner caller never hangs up
        raise AssertionError("unreachable")

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            chunks.extend(message.get("body", b""))

    scope = {**(base or {}), **_request_scope(method, path, body)}
    if "state" in scope:
        scope["state"] = dict(scope["state"])  # a request's own, as outer servers give it
    await app(scope, receive, send)
    return Answer(status=status, body=bytes(chunks))


def _request_scope(method: str, path: str, body: bytes) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
