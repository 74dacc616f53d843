"""The bundled models: facts that need no network, and no arithmetic either.

``models.json`` holds their configs, by present field names, each with its source; ``specs.json``
is what ``sources.model`` makes of them (``generate``), a model a line, so that planning one of
them reads one line and imports nothing that counts weights. A test holds the two together.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from skyserve_llm import types
from skyserve_llm.errors import DataError
from skyserve_llm.types import ModelSpec

_SPECS = Path(__file__).with_name("specs.json")


def bundled_model(name: str) -> ModelSpec | None:
    """The bundled model of that id or alias, in any case of letters; None where there is none."""
    wanted = f'"{name}"'.lower()
    for line in _lines():
        if wanted in line.lower():
            names, spec = json.loads(line.rstrip(","))
            for known in names:
                if known.lower() == name.lower():
                    return _spec(spec)._replace(id=known)
    return None


def bundled_models() -> list[ModelSpec]:
    """Every bundled model, in the table's order."""
    return [_spec(json.loads(line.rstrip(","))[1]) for line in _lines()]


def bundled_names() -> list[str]:
    """Every name a bundled model goes by."""
    return [name for line in _lines() for name in json.loads(line.rstrip(","))[0]]


@cache
def _lines() -> list[str]:
    return _SPECS.read_text(encoding="utf-8").splitlines()[1:-1]


def _spec(value: Any) -> ModelSpec:
    try:
        spec: ModelSpec = _noun(value)
    except (TypeError, AttributeError) as error:
        raise DataError(
            f"{_SPECS.name} is of another release than types.py: {error}",
            hint="python -m skyserve_llm.sources.hub.generate",
        ) from error
    return spec


def _noun(value: Any) -> Any:
    """``["!Quantization", "awq", 4, …]`` → that noun; any other list → a tuple."""
    if not isinstance(value, list):
        return value
    if value and isinstance(value[0], str) and value[0].startswith("!"):
        return getattr(types, value[0][1:])(*map(_noun, value[1:]))
    return tuple(map(_noun, value))
