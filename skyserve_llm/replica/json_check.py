"""Whether a body is safe to hand to a JSON reader: UTF-8, and not nested too deep.

Pure, and in slices: a caller on an event loop can breathe between two of them, however large
the body. Whether the text *is* JSON is not decided here.
"""

import codecs
from array import array
from collections.abc import Iterator
from itertools import accumulate

_SLICE = 1 << 16
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# One level deeper, one level up again: +1 and -1 as signed bytes.
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")


class DepthError(ValueError):
    """Brackets nest deeper than they may."""


def check(body: bytes, max_depth: int, *, slice_bytes: int = _SLICE) -> Iterator[None]:
    """Look at ``body`` slice by slice.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
        DepthError: its brackets, outside of strings, nest deeper than ``max_depth``.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(body), slice_bytes):
        decoder.decode(body[start : start + slice_bytes])
        yield
    decoder.decode(b"", final=True)
    if body.count(b"[") + body.count(b"{") <= max_depth:
        return
    for deepest in depths(body, slice_bytes=slice_bytes):
        if deepest > max_depth:
            raise DepthError
        yield


def depths(body: bytes, *, slice_bytes: int = _SLICE) -> Iterator[int]:
    """The deepest level of each slice in turn."""
    plain = body.replace(rb"\\", b"").replace(rb"\"", b"")  # every quote left opens or closes
    depth, in_string = 0, False
    for start in range(0, len(plain), slice_bytes):
        parts = plain[start : start + slice_bytes].split(b'"')
        outside = b"".join(parts[in_string::2])
        in_string ^= len(parts) % 2 == 0
        steps = array("b", outside.translate(_STEPS, _NO_BRACKETS))
        yield max(accumulate(steps, initial=depth))
        depth += sum(steps)
