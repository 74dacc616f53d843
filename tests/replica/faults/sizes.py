"""More than fits: heads without an end, bodies of a gigabyte."""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial

from tests.replica.faults.fault import MIB, Fault
from tests.replica.faults.target import CHAT, KEY, Reply, Target, ask, request

_HEAD = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\n".encode()
_LOCK = f"authorization: Bearer {KEY}\r\n".encode()
# What lies in the buffers of two kernels when the replica stops to read.
_BUFFERS = 10 * MIB
_LARGEST_BODY = 4 * MIB


async def _flood(target: Target, begin: bytes, piece: bytes, total: int) -> tuple[Reply, int]:
    """Send pieces until it is enough for the replica; its answer, and what it took."""
    sent = 0
    async with target.connect() as connection:
        with contextlib.suppress(ConnectionError):
            await connection.send(begin)
            while sent < total:
                await connection.send(piece)
                sent += len(piece)
        return await connection.reply(), sent


async def _floods(
    target: Target, *, floods: list[tuple[bytes, bytes]], total: int, most: int
) -> list[str]:
    """``most`` is what may be taken of each, on the wire, before it is refused."""
    words = []
    for begin, piece in floods:
        reply, sent = await _flood(target, begin, piece, total)
        words.append(reply.word if sent < most + _BUFFERS else f"{sent // MIB} MiB taken")
    return words


def _heads() -> Iterator[tuple[bytes, bytes]]:
    for lock in (b"", _LOCK):
        yield _HEAD + lock + b"x: ", b"a" * 65536
        yield _HEAD + lock, b"".join(b"x%d: y\r\n" % i for i in range(6000))
        yield _HEAD + lock, b"a" * 65536  # a name without an end
        yield _HEAD + lock, b"x:" + b" " * 65536 + b"\r\n"
    yield b"GET /", b"a" * 65536
    yield b"GET /?", b"a=b&" * 16384
    yield b"A" * 65536, b"A" * 65536
    yield request("GET", "/v1/health", key=None)[:-2] + b"x: ", b"a" * 65536


async def _declared(target: Target, *, times: int) -> list[str]:
    words = []
    for size in (1 << 30, _LARGEST_BODY + 1, 10**30):
        for extra in ((), ("expect: 100-continue",)):
            for key in (KEY, None):
                head = request("POST", CHAT, f"content-length: {size}", *extra, body=b"{", key=key)
                words += [(await target.say(head)).word for _ in range(times)]
    return words


async def _many_large(target: Target, *, at_once: int) -> list[str]:
    """Bodies of the largest size that is allowed, all at the same time, none of them finished."""
    body = b'{"x": "' + b"a" * (_LARGEST_BODY - 100)
    whole = ask(body, f"content-length: {_LARGEST_BODY}")

    async def one() -> str:
        return (await target.say(whole)).word

    return list(await asyncio.gather(*(one() for _ in range(at_once))))


def faults(scale: int) -> list[Fault]:
    """``scale`` multiplies how often, and how many at once."""
    heads = list(_heads()) * scale
    lock = request("POST", CHAT, "transfer-encoding: chunked", body=b"10000\r\n" + b"a" * 65536)
    chunks = [
        (lock, b"\r\n10000\r\n" + b"a" * 65536),
        (lock, b"\r\n1\r\na" * 9000),  # six bytes on the wire for each of the body
        (lock + b"\r\n1;", b"a" * 65536),  # an extension of a chunk, without an end
        (lock + b"\r\n", b"1;" + b"a" * 9000 + b"\r\na\r\n"),  # one for each byte
        (lock + b"\r\n0\r\nx: ", b"a" * 65536),  # a trailer without an end
        (lock + b"\r\n0\r\n", b"x: y\r\n" * 9000),  # trailers without number
    ] * scale
    return [
        Fault(
            name="64 MB of head",
            act=partial(_floods, floods=heads, total=64 * MIB, most=MIB),
            allowed=frozenset({"400", "401", "404", "431", "closed"}),
        ),
        Fault(
            name="1 GB declared",
            act=partial(_declared, times=scale),
            allowed=frozenset({"413", "401", "400"}),
        ),
        Fault(
            name="1 GB in chunks",
            act=partial(_floods, floods=chunks, total=1 << 30, most=12 * _LARGEST_BODY),
            allowed=frozenset({"413", "closed"}),
        ),
        Fault(
            name="large bodies at once",
            act=partial(_many_large, at_once=40 * scale),
            allowed=frozenset({"408", "429"}),
            memory_mib=160,
        ),
    ]
