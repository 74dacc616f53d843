"""Bodies that are no JSON, or JSON that a reader chokes on."""

import json
from functools import partial

from tests.replica.faults.fault import Fault, all_of
from tests.replica.faults.target import ASK, ask


def _message(content: str) -> bytes:
    return (
        b'{"max_tokens": 1, "messages": [{"role": "user", "content": ' + content.encode() + b"}]}"
    )


def _with(**fields: object) -> bytes:
    return json.dumps({**ASK, **fields}).encode()


def faults(scale: int) -> list[Fault]:
    """Each is sent ``scale`` times."""
    not_text = [
        b'{"messages": "\xff"}', b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}", b"\xc0\xaf",
        b"\xed\xa0\x80",
        _message('"ok"') + b"\x80", b"\x00" * 1000, bytes(range(256)),
    ]  # fmt: skip
    deep = [
        b"[" * 100_000, b'{"a":' * 100_000, b"[" * 50_000 + b"]" * 50_000,
        _message("[" * 70 + "]" * 70),
        b'{"messages": ' + b'[{"a":' * 40 + b"1" + b"}]" * 40 + b"}", b"[{" * 30_000,
    ]  # fmt: skip
    odd = [
        b"", b"null", b"true", b"0", b'""', b"[]", b"{", b'{"', b'{"a"}', b"{'a': 1}", b"{}{}",
        b"NaN",
        b'{"max_tokens": 1e999}', b'{"max_tokens": ' + b"9" * 5000 + b"}", b'{"seed": -1e400}',
        _message('"\\ud800"'), _message('"\\u0000"'), _message("1"), _message("null"),
        _message("{}"), _message('[{"type": "image_url"}]'), _with(n=10**9),
        _with(stop=["x"] * 10_000), _with(stop="x" * 99_999), _with(temperature=-1),
        _with(max_tokens=-1), _with(model="x" * 100_000), _with(messages=[]),
        _with(**{f"k{number}": number for number in range(20_000)}),
        b'{"messages": [], "messages": 1' + b', "messages": 1' * 10_000 + b"}",
    ]  # fmt: skip
    kinds = {"not UTF-8": not_text, "deep JSON": deep, "odd JSON": odd}
    return [
        Fault(
            name=name,
            act=partial(all_of, payloads=[ask(body) for body in bodies] * scale),
            allowed=frozenset({"400", "404", "200"} if name == "odd JSON" else {"400"}),
        )
        for name, bodies in kinds.items()
    ]
