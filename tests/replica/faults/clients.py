"""Clients that leave, dawdle, or say nothing at all."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from tests.replica.faults.fault import Fault
from tests.replica.faults.target import ASK, ENDLESS, Connection, HangError, Target, ask, request

Leave = Callable[[Connection], None]
_FREED = "slot free within 1 s"


@asynccontextmanager
async def _stream(target: Target, **options: int) -> AsyncIterator[Connection]:
    """An endless answer, of which the first token has come."""
    async with target.connect(**options) as connection:
        await connection.send(ask(ENDLESS))
        await connection.reader.readuntil(b"data: ")
        yield connection


async def _leave(target: Target, *, leave: Leave, times: int, slots: int) -> list[str]:
    """Fill every slot of the engine, leave, and see how soon a newcomer gets one."""
    words = []
    for _ in range(times):
        async with contextlib.AsyncExitStack() as held:
            full = [await held.enter_async_context(_stream(target)) for _ in range(slots)]
            began = time.monotonic()
            for connection in full:
                leave(connection)
            reply = await target.say(ask(ASK))
            took = time.monotonic() - began
        words.append(_FREED if reply.status == 200 and took < 1 else f"{took:.1f} s: {reply.word}")
    return words


async def _leave_unanswered(target: Target, *, times: int, slots: int) -> list[str]:
    """The same for answers that are no streams, and for a place in the line."""
    words = []
    for _ in range(times):
        async with contextlib.AsyncExitStack() as held:
            for _ in range(2 * slots):
                connection = await held.enter_async_context(target.connect())
                await connection.send(ask({**ENDLESS, "stream": False}))
                held.callback(connection.reset)
            while await target.metric("llmbudget_requests_in_flight") < 2 * slots:
                await asyncio.sleep(0.01)
        began = time.monotonic()
        reply = await target.say(ask(ASK))
        took = time.monotonic() - began
        words.append(_FREED if reply.status == 200 and took < 1 else f"{took:.1f} s: {reply.word}")
    return words


async def _closed_in_time(wait: Awaitable[float]) -> str:
    try:
        return "cut off" if await wait < 15 else "cut off late"
    except HangError:
        return "hung"


async def _slow_readers(target: Target, *, at_once: int) -> list[str]:
    """They ask for all there is, in one long answer each, and read nothing of it."""
    cut_off = 'llmbudget_requests_total{outcome="disconnected"}'
    before = await target.metric(cut_off)
    async with contextlib.AsyncExitStack() as held:
        for _ in range(at_once):
            connection = await held.enter_async_context(target.connect(receive_buffer=2048))
            await connection.send(ask(ENDLESS))
        began = time.monotonic()
        while await target.metric(cut_off) < before + at_once:
            if time.monotonic() > began + 60:
                return ["never cut off"]
            await asyncio.sleep(0.1)
    return ["cut off"] * at_once


async def _drip(connection: Connection, data: bytes, pause_s: float) -> None:
    with contextlib.suppress(ConnectionError):
        for at in range(len(data)):
            await connection.send(data[at : at + 1])
            await asyncio.sleep(pause_s)


async def _slow_senders(target: Target, *, at_once: int) -> list[str]:
    """A byte every 0.1 s: of the head, with and without a key, and of the body."""
    body = json.dumps({**ASK, "user": "x" * 500}).encode()
    head = request("POST", "/v1/chat/completions", f"content-length: {len(body)}")
    kinds = [(b"", head), (b"", request("GET", "/v1/models", key=None)), (head, body)]

    async def one(at_once_part: bytes, dripped: bytes) -> str:
        async with target.connect() as connection:
            await connection.send(at_once_part)
            dripping = asyncio.create_task(_drip(connection, dripped, 0.1))
            try:
                reply = await connection.reply()
            except HangError:
                return "hung"
            finally:
                dripping.cancel()
            return reply.word

    return list(await asyncio.gather(*(one(*kinds[i % 3]) for i in range(at_once))))


async def _half_open(target: Target, *, at_once: int) -> list[str]:
    """They connect and say nothing, or half a line, or empty lines; requests go on meanwhile."""
    async with contextlib.AsyncExitStack() as held:
        waits = []
        for number in range(at_once):
            connection = await held.enter_async_context(target.connect())
            await connection.send((b"", b"POST /v1/ch", b"\r\n", b"G")[number % 4])
            waits.append(_closed_in_time(connection.closed()))
        served = await target.say(ask(ASK))
        words = list(await asyncio.gather(*waits))
    return words if served.status == 200 else [*words, f"meanwhile {served.word}"]


async def _between_requests(target: Target, *, at_once: int) -> list[str]:
    """After an answer, empty lines now and then: no request, but no silence either."""

    async def one() -> str:
        async with target.connect() as connection:
            await connection.send(request("GET", "/v1/health", key=None))
            await connection.reply()
            dripping = asyncio.create_task(_drip(connection, b"\r\n" * 200, 0.2))
            try:
                return await _closed_in_time(connection.closed())
            finally:
                dripping.cancel()

    return list(await asyncio.gather(*(one() for _ in range(at_once))))


def faults(scale: int, *, slots: int) -> list[Fault]:
    """``scale`` multiplies how often, and how many at once."""
    left = frozenset({_FREED})
    cut = frozenset({"cut off"})
    leaving: dict[str, Leave] = {
        "close in mid-stream": lambda connection: connection.writer.close(),
        "reset in mid-stream": Connection.reset,
        "half-close in mid-stream": lambda connection: connection.writer.write_eof(),
    }
    return [
        *(
            Fault(
                name=name,
                act=partial(_leave, leave=leave, times=3 * scale, slots=slots),
                allowed=left,
            )
            for name, leave in leaving.items()
        ),
        Fault(
            name="leave before the answer",
            act=partial(_leave_unanswered, times=2 * scale, slots=slots),
            allowed=left,
        ),
        Fault(name="slow readers", act=partial(_slow_readers, at_once=slots * scale), allowed=cut),
        Fault(
            name="slow senders",
            act=partial(_slow_senders, at_once=30 * scale),
            allowed=frozenset({"408", "closed"}),
        ),
        Fault(name="half-open sockets", act=partial(_half_open, at_once=100 * scale), allowed=cut),
        Fault(
            name="empty lines for ever",
            act=partial(_between_requests, at_once=10 * scale),
            allowed=cut,
        ),
    ]
