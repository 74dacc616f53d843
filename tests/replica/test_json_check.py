"""Depth and encoding of a body, judged without reading it as JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.replica import json_check

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a"\\[]{}é\n', max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def passes(body: bytes, max_depth: int, *, slice_bytes: int = 1 << 16) -> bool:
    try:
        for _ in json_check.check(body, max_depth, slice_bytes=slice_bytes):
            pass
    except json_check.DepthError:
        return False
    return True


@given(values, st.booleans())
def test_the_deepest_level_is_the_values_own(value: Any, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert max(json_check.depths(body), default=0) == depth_of(value)


@given(values)
def test_exactly_what_is_deeper_is_refused(value: Any) -> None:
    body, depth = json.dumps(value).encode(), depth_of(value)
    assert passes(body, depth)
    assert depth == 0 or not passes(body, depth - 1)


@given(values, st.integers(1, 40))
def test_where_a_slice_ends_makes_no_difference(value: Any, size: int) -> None:
    body = json.dumps(value).encode()
    whole = max(json_check.depths(body), default=0)
    assert max(json_check.depths(body, slice_bytes=size), default=0) == whole


@pytest.mark.parametrize("body", [b'{"a": "\xff"}', b"\xed\xa0\x80", b'"\xc3', b"\xc0\xaf"])
def test_what_is_not_utf8_is_found(body: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        passes(body, 64)


@given(st.text(max_size=50), st.integers(1, 7))
def test_utf8_across_slices_is_utf8(text: str, size: int) -> None:
    body = text.encode("utf-8", "replace")
    assert passes(body, 1000, slice_bytes=size)


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 65 + b"]" * 65, b"[{" * 40]
)
def test_nesting_bombs_are_refused(body: bytes) -> None:
    assert not passes(body, 64)


@pytest.mark.parametrize(
    "body", [b"", b"]" * 500, b"[]" * 500, b'"' + b"[" * 500, b'["' + b"[" * 500]
)
def test_flat_is_flat_whatever_else_it_is(body: bytes) -> None:
    assert passes(body, 64)
