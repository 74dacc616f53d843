"""One file over HTTP, whole or not at all.

Tried again where that can help (the network, a busy server), with a limit on silence, on the whole
time and on the size. Knows nothing of what is in the file.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple

import httpx
import tenacity

from skyserve_llm.errors import RefreshError
from skyserve_llm.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    Progress = Callable[[int, int | None], None]
    """Called with the bytes received so far, and how many there will be if the server says so."""

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may well succeed."""


class Limits(NamedTuple):
    """``silence_seconds`` bounds the time to connect and between two packets."""

    silence_seconds: float = 30.0
    file_seconds: float = 300.0
    max_bytes: int = 64 * MIB
    tries: int = 3
    pause_seconds: float = 0.5


class Cached(NamedTuple):
    """What the server said of the copy we have: enough to ask whether there is a newer one."""

    etag: str
    last_modified: str


class Fetched(NamedTuple):
    """``changed`` False where the copy we have is still the server's.

    ``last_modified`` and ``etag`` are the server's words, '' where it says nothing; ``sent`` is
    when it answered.
    """

    changed: bool
    etag: str
    last_modified: str
    sent: datetime | None


class MissingError(RefreshError):
    """The server has no such file."""


class _Again(Exception):  # noqa: N818 - a signal to the loop below, never seen outside
    """This try failed, and another might not."""


async def fetch(
    client: httpx.AsyncClient,
    url: str,
    target: Path,
    cached: Cached | None,
    limits: Limits,
    progress: Progress,
) -> Fetched:
    """Downloads ``url`` to ``target``, or finds that it has not changed.

    Raises MissingError for a 404, RefreshError for anything else that leaves us without the file,
    and OSError where it cannot be written.
    """
    tries = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(_Again),
        stop=tenacity.stop_after_attempt(limits.tries),
        wait=tenacity.wait_random_exponential(multiplier=limits.pause_seconds, max=8.0),
        reraise=True,
    )
    try:
        async with asyncio.timeout(limits.file_seconds):
            async for attempt in tries:
                with attempt:
                    return await _once(client, url, target, cached, limits, progress)
    except _Again as error:
        raise RefreshError(str(error)) from error.__cause__
    except TimeoutError as error:
        raise RefreshError(f"not all of it came within {limits.file_seconds:g} s") from error
    raise AssertionError("unreachable: the last try returns or raises")


async def _once(
    client: httpx.AsyncClient,
    url: str,
    target: Path,
    cached: Cached | None,
    limits: Limits,
    progress: Progress,
) -> Fetched:
    try:
        async with client.stream("GET", url, headers=_conditions(cached)) as answer:
            _judge(answer)
            if answer.status_code != httpx.codes.NOT_MODIFIED:
                await _save(answer, target, limits, progress)
            return Fetched(
                changed=answer.status_code != httpx.codes.NOT_MODIFIED,
                etag=answer.headers.get("etag", ""),
                last_modified=answer.headers.get("last-modified", ""),
                sent=http_date(answer.headers.get("date", "")),
            )
    except httpx.TimeoutException as error:
        raise _Again(f"the server was silent for {limits.silence_seconds:g} s") from error
    except httpx.RemoteProtocolError as error:
        raise _Again(f"the download broke off: {error}") from error
    except httpx.TransportError as error:
        raise _Again(f"the server cannot be reached: {error}") from error
    except httpx.HTTPError as error:
        raise RefreshError(f"the download failed: {error}") from error


def _conditions(cached: Cached | None) -> dict[str, str]:
    """RFC 9110, 13.1: an ETag is the better validator; with both, the server looks at that."""
    if cached is None:
        return {}
    conditions = {"If-None-Match": cached.etag, "If-Modified-Since": cached.last_modified}
    return {name: value for name, value in conditions.items() if value}


def _judge(answer: httpx.Response) -> None:
    if answer.status_code in (httpx.codes.OK, httpx.codes.NOT_MODIFIED):
        return
    said = f"the server answered {answer.status_code} {answer.reason_phrase}".rstrip()
    if answer.status_code in _BUSY:
        raise _Again(said)
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise MissingError(said)
    raise RefreshError(said)


async def _save(answer: httpx.Response, target: Path, limits: Limits, progress: Progress) -> None:
    """The body, decoded, into a file. httpx itself refuses one shorter than its Content-Length."""
    if answer.headers.get("content-type", "").startswith("text/html"):
        raise RefreshError("the server sent a web page in place of a catalog")
    length = answer.headers.get("content-length", "")
    # Of a compressed body the length says nothing about how far we are.
    plain = length.isdecimal() and "content-encoding" not in answer.headers
    total = int(length) if plain else None
    received, last = 0, b""
    with target.open("wb") as file:
        async for chunk in answer.aiter_bytes():
            received, last = received + len(chunk), chunk
            if max(received, total or 0) > limits.max_bytes:
                raise RefreshError(f"it is larger than {limits.max_bytes // MIB} MiB")
            file.write(chunk)
            progress(received, total)
    # Neither a length nor chunks: the body ends where the connection does, for whatever reason.
    unbounded = not length and "transfer-encoding" not in answer.headers
    if unbounded and not last.endswith(b"\n"):
        raise _Again("the download broke off in the middle of a line")


def http_date(text: str) -> datetime | None:
    """A date as HTTP headers write it, in UTC; None where it is none."""
    with contextlib.suppress(ValueError):
        moment = parsedate_to_datetime(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
