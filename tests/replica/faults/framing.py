"""Requests whose end is not clear, so that a second one may hide in the first."""

from functools import partial

from tests.replica.faults.fault import Fault, all_of
from tests.replica.faults.target import ASK, CHAT, KEY, Target, ask, request

_LOCK = f"authorization: Bearer {KEY}"
_HIDDEN = request("GET", "/v1/models", key=None)


def _framed(*headers: str, body: bytes) -> bytes:
    return request("POST", CHAT, *headers, body=body)


def faults(scale: int) -> list[Fault]:
    """Each is sent ``scale`` times."""
    body = b"{}"
    chunked = "transfer-encoding: chunked"
    unclear = [
        _framed("content-length: 2", "content-length: 2", body=body),
        _framed("content-length: 2", "content-length: 3", body=body + b"x"),
        _framed("content-length: 2, 2", body=body),
        _framed("content-length: 0", f"{chunked}", body=b"0\r\n\r\n" + _HIDDEN),
        _framed(f"{chunked}", "content-length: 6", body=b"0\r\n\r\nX"),
        _framed(chunked, chunked, body=b"0\r\n\r\n"),
        _framed("transfer-encoding: xchunked", body=b"0\r\n\r\n"),
        _framed("transfer-encoding: identity, chunked", "transfer-encoding: x", body=b"0\r\n\r\n"),
        _framed("transfer-encoding: chunked, identity", body=b"0\r\n\r\n"),
        _framed("transfer-encoding : chunked", body=b"0\r\n\r\n"),
        _framed("transfer-encoding:\x0bchunked", body=b"0\r\n\r\n"),
        _framed("content-length: -2", body=body),
        _framed("content-length: +2", body=body),
        _framed("content-length: 0x2", body=body),
        _framed("content-length: 2 3", body=body),
        _framed("content-length: 1e9", body=body),
        _framed("content-length: " + "9" * 400, body=body),
        _framed("content-length:", body=body),
        _framed(chunked, body=b"zz\r\n{}\r\n0\r\n\r\n"),
        _framed(chunked, body=b"-2\r\n{}\r\n0\r\n\r\n"),
        _framed(chunked, body=b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
        _framed(chunked, body=b"2\n{}\n0\n\n"),
        _framed(chunked, body=b"2\r\n{}XX0\r\n\r\n"),
        request("POST", CHAT, "host: other", "content-length: 2", body=body),
        b"POST " + CHAT.encode() + b" HTTP/1.1\r\n" + _LOCK.encode() + b"\r\n\r\n",
        b"POST " + CHAT.encode() + b" HTTP/1.1\nhost: x\n" + _LOCK.encode() + b"\n\n",
        request("POST", CHAT, "folded: a\r\n b", "content-length: 2", body=body),
        request("POST", CHAT, "nul: a\x00b", "content-length: 2", body=body),
        request("POST", CHAT, "no colon", "content-length: 2", body=body),
        request("POST", CHAT, ": no name", "content-length: 2", body=body),
        request("POST", f"{CHAT}\x00", "content-length: 2", body=body),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512),
        b"\r\n\r\n\r\n\x00\xff\xfe garbage\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x00" * 4096 + b"\r\n\r\n",
    ]
    return [
        Fault(
            name="unclear framing",
            act=partial(all_of, payloads=unclear * scale),
            allowed=frozenset({"400", "401", "404", "408", "413", "closed"}),
        ),
        Fault(
            name="a request behind another",
            act=partial(_behind, times=5 * scale),
            allowed=frozenset({"the second needs a key of its own"}),
        ),
    ]


async def _behind(target: Target, times: int) -> list[str]:
    """The first has a key and the second, in the same packet, has none."""
    words = []
    for _ in range(times):
        for first in (request("GET", "/v1/models"), ask(ASK), request("GET", "/v1/health")):
            async with target.connect() as connection:
                await connection.send(first + _HIDDEN)
                answers = [await connection.reply(), await connection.reply()]
            held = [answer.status for answer in answers] == [200, 401]
            words.append("the second needs a key of its own" if held else str(answers))
    return words
