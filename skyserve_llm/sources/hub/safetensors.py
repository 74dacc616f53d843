"""The header of a safetensors file → its tensors (https://huggingface.co/docs/safetensors).

Eight bytes say how long the header is, little-endian; the header is a JSON object of name →
dtype, shape and where the data lie. No weight is read.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from skyserve_llm.errors import InputError
from skyserve_llm.sources.model.tensors import Tensor

MAX_HEADER_BYTES = 100 << 20
"""What the format's own reader allows."""


def read_header(file: Path) -> list[Tensor]:
    """The tensors of a local file.

    Raises:
        InputError: it cannot be read, or is no safetensors file.
    """
    try:
        with file.open("rb") as stream:
            head = stream.read(8)
            size = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            if not 2 <= size <= MAX_HEADER_BYTES:
                raise _damaged(file.name)
            text = stream.read(size)
            header = json.loads(text) if len(text) == size else None
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(file.name) from error
    if not isinstance(header, dict):
        raise _damaged(file.name)
    return [
        tensor(file.name, name, entry) for name, entry in header.items() if name != "__metadata__"
    ]


def tensor(file: str, name: str, entry: Mapping[str, Any]) -> Tensor:
    """One entry of a header.

    Raises:
        InputError: it has no dtype, shape or place.
    """
    if isinstance(entry, Mapping):
        dtype, shape, place = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
        if isinstance(dtype, str) and _sizes(shape) and _sizes(place) and len(place) == 2:
            return Tensor(name, dtype, tuple(shape), max(0, place[1] - place[0]))
    raise InputError(f"{file}: tensor '{name}' has no dtype, shape or place that can be")


def _sizes(value: Any) -> TypeGuard[Sequence[int]]:
    return isinstance(value, list | tuple) and all(type(n) is int and n >= 0 for n in value)


def _damaged(file: str) -> InputError:
    return InputError(f"{file} is no safetensors file", hint="download it again")
