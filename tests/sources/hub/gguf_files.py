"""Real GGUF files for the tests: version 3, as gguf-py writes them, without any weight."""

import struct
from collections.abc import Mapping


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(item: object) -> bytes:
    """A metadata value with its type before it."""
    if isinstance(item, bool):
        return struct.pack("<I?", 7, item)
    if isinstance(item, int):
        return struct.pack("<II", 4, item)
    if isinstance(item, float):
        return struct.pack("<If", 6, item)
    if isinstance(item, str):
        return struct.pack("<I", 8) + text(item)
    assert isinstance(item, list)
    kind, *_ = struct.unpack("<I", value(item[0])[:4])
    items = b"".join(value(entry)[4:] for entry in item)
    return struct.pack("<IIQ", 9, kind, len(item)) + items


def gguf(
    metadata: Mapping[str, object], tensors: Mapping[str, tuple[int, list[int]]], version: int = 3
) -> bytes:
    """``tensors``: name → (ggml's type, shape as safetensors would have it)."""
    parts = [b"GGUF", struct.pack("<IQQ", version, len(tensors), len(metadata))]
    parts += [text(key) + value(item) for key, item in metadata.items()]
    for name, (kind, shape) in tensors.items():
        dims = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        parts.append(text(name) + dims + struct.pack("<IQ", kind, 0))
    return b"".join(parts)
