"""What a request may look like before anything reads it: its head, its body, its JSON.

Every limit here is about the replica's own memory and time, whatever the client declares.
Knows ASGI; knows no keys, routes or engines.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from skyserve_llm.replica import json_check
from skyserve_llm.replica.asgi import ClientGoneError, Receive, Scope, header
from skyserve_llm.replica.refusal import RefusedError, busy

# All bodies that are held at once, in bodies of the largest size.
_LARGEST_BODIES_AT_ONCE = 16
# Framing, target and credentials: two of one of these are two meanings of one request.
_ONLY_ONCE = (b"content-length", b"transfer-encoding", b"host", b"authorization")
# Slices of a body that are looked at before others get their turn: 2 ms at the most.
_SLICES_A_TURN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    max_header_bytes: int
    max_header_count: int
    max_body_bytes: int
    max_json_depth: int
    body_timeout_s: float


def check_head(scope: Scope, limits: Limits) -> None:
    """Raise RefusedError (431, 400) for a head that is too large or has two meanings."""
    headers = scope["headers"]
    size = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    size += sum(len(name) + len(value) for name, value in headers)
    if len(headers) > limits.max_header_count or size > limits.max_header_bytes:
        raise RefusedError(431, "The headers of the request are too large.", closes=True)
    names = [name for name, _ in headers if name in _ONLY_ONCE]
    for name in _ONLY_ONCE:
        if names.count(name) > 1:
            raise RefusedError(400, f"More than one {name.decode()} header.", closes=True)
    if b"content-length" in names and b"transfer-encoding" in names:
        message = "Either content-length or transfer-encoding, not both."
        raise RefusedError(400, message, closes=True)


class Intake:
    """Reads bodies whole, before anything else sees them, within what all may hold together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._room = limits.max_body_bytes * _LARGEST_BODIES_AT_ONCE

    @asynccontextmanager
    async def body(self, scope: Scope, receive: Receive) -> AsyncIterator[bytes | None]:
        """The body, which counts as held until the context ends; None where there is none.

        Raises:
            RefusedError: 413, 408, 429, or 400 for JSON that is not UTF-8 or nests too deep.
            ClientGoneError: nobody is left to answer.
        """
        if not _has_body(scope):
            yield None
            return
        self._check_declared(scope)
        held = _Held(self)
        try:
            try:
                async with asyncio.timeout(self._limits.body_timeout_s):
                    body = await held.read(receive)
            except TimeoutError:
                message = "The body of the request did not arrive in time."
                raise RefusedError(408, message, closes=True) from None
            if not _is_multipart(scope):
                await check_json(body, self._limits.max_json_depth)
            yield body
        finally:
            self._room += held.size

    def take(self, size: int) -> None:
        """Count ``size`` more bytes; RefusedError when memory for bodies has run out."""
        if size > self._room:
            raise busy("The replica holds as many large requests as it can.", retry_after_s=1)
        self._room -= size

    def check_size(self, size: int) -> None:
        """Raise RefusedError (413) for a body of more than ``max_body_bytes``."""
        if size > self._limits.max_body_bytes:
            message = f"The body of the request has more than {self._limits.max_body_bytes} bytes."
            raise RefusedError(413, message)

    def _check_declared(self, scope: Scope) -> None:
        declared = header(scope, b"content-length")
        if declared is None:
            return
        if not declared.isdigit():  # isdigit of bytes is ASCII only: no sign, no space
            raise RefusedError(400, "content-length is not a number.", closes=True)
        # Longer than any number that passes: int() of a very long one takes its time.
        self.check_size(int(declared[:20]))


class _Held:
    """One body as it comes in."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.size = 0

    async def read(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunk = message.get("body", b"")
            self._intake.check_size(self.size + len(chunk))
            self._intake.take(len(chunk))
            self.size += len(chunk)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def check_json(body: bytes, max_depth: int) -> None:
    """Raise RefusedError (400) for a body that a JSON reader may choke on.

    Whether it *is* JSON, and what it says, the app judges.
    """
    try:
        for slices, _ in enumerate(json_check.check(body, max_depth), 1):
            if slices % _SLICES_A_TURN == 0:
                await asyncio.sleep(0)
    except UnicodeDecodeError:
        raise RefusedError(400, "The body of the request is not UTF-8 text.") from None
    except json_check.DepthError:
        message = f"The body of the request nests deeper than {max_depth} levels."
        raise RefusedError(400, message) from None


def _has_body(scope: Scope) -> bool:
    return header(scope, b"transfer-encoding") is not None or (
        header(scope, b"content-length") not in (None, b"0")
    )


def _is_multipart(scope: Scope) -> bool:
    return (header(scope, b"content-type") or b"").lower().startswith(b"multipart/")
