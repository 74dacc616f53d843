"""The header of a GGUF file → its metadata and tensors.

The format is ggml's (docs/gguf.md, version 2 and 3, little-endian): a magic word, key-value
metadata, then each tensor's name, shape and type. The file is read piece by piece, only as far
as the header goes: a vocabulary makes it some megabytes long. No weight is read.
"""

import struct
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

from skyserve_llm.errors import InputError
from skyserve_llm.sources.model.tensors import Tensor

Read = Callable[[int, int], bytes]
"""Bytes from the first number up to the second; fewer where the file ends before."""

PIECE_BYTES = 4 << 20
MAX_ITEMS = 1 << 24
"""More entries or letters than any header has: a larger number is a damaged file."""

_VALUES = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
_TEXT, _ARRAY = 8, 9

BLOCKS = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4),
    27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36),
}  # fmt: skip
"""A type's number → (name, weights in a block, bytes of a block): gguf-py 0.19
(constants.py, ``GGML_QUANT_SIZES``)."""


class Header(NamedTuple):
    """What stands before a GGUF file's weights; of a list in the metadata only its length."""

    metadata: dict[str, Any]
    tensors: list[Tensor]


def read_header(name: str, read: Read) -> Header:
    """Read the header of the file called ``name``.

    Raises:
        InputError: it is no GGUF file, or not one of a version and types that we know.
    """
    stream = _Stream(name, read)
    if stream.take(4) != b"GGUF":
        raise InputError(f"{name} is no GGUF file", hint="download it again")
    version = stream.number("<I")
    if version not in (2, 3):
        raise InputError(f"{name}: GGUF version {version}, not 2 or 3")
    tensors, entries = stream.length("<Q"), stream.length("<Q")
    metadata = {}
    for _ in range(entries):
        key = stream.text()
        metadata[key] = stream.value(stream.number("<I"))
    return Header(metadata, [_tensor(name, stream) for _ in range(tensors)])


def _tensor(file: str, stream: "_Stream") -> Tensor:
    name = stream.text()
    # Dimensions stand from the innermost out: the reverse of safetensors.
    shape = tuple(stream.number("<Q") for _ in range(stream.length("<I")))[::-1]
    kind = stream.number("<I")
    stream.number("<Q")  # where its data lie
    if kind not in BLOCKS:
        raise InputError(f"{file}: tensor '{name}' is of type {kind}, which we do not know")
    dtype, weights, size = BLOCKS[kind]
    return Tensor(name, dtype, shape, -(-prod(shape) // weights) * size)


class _Stream:
    """A file read from its start in pieces, as far as it is asked for."""

    def __init__(self, name: str, read: Read) -> None:
        self._name, self._read = name, read
        self._buffer, self._start, self._place = b"", 0, 0

    def take(self, size: int) -> bytes:
        while self._place + size > self._start + len(self._buffer):
            end = self._start + len(self._buffer)
            piece = self._read(end, end + max(PIECE_BYTES, size))
            if not piece:
                raise InputError(f"{self._name} ends in its header", hint="download it again")
            self._buffer = self._buffer[self._place - self._start :] + piece
            self._start = self._place
        at = self._place - self._start
        self._place += size
        return self._buffer[at : at + size]

    def number(self, code: str) -> Any:
        (value,) = struct.unpack(code, self.take(struct.calcsize(code)))
        return value

    def length(self, code: str = "<Q") -> int:
        value = int(self.number(code))
        if value > MAX_ITEMS:
            raise InputError(f"{self._name}: a length of {value} in its header", hint="damaged?")
        return value

    def text(self) -> str:
        return self.take(self.length()).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind == _ARRAY:
            return self._array()
        if kind not in _VALUES:
            raise InputError(f"{self._name}: metadata of type {kind}, which we do not know")
        return self.number(_VALUES[kind])

    def _array(self) -> list[Any] | int:
        """Numbers of a short list (one a layer); of a long or wordy one only how many."""
        kind, items = self.number("<I"), self.length()
        if kind in _VALUES and items <= 1024:
            return [self.value(kind) for _ in range(items)]
        if kind in _VALUES:
            self.take(items * struct.calcsize(_VALUES[kind]))
        else:
            for _ in range(items):
                self.value(kind)
        return items
