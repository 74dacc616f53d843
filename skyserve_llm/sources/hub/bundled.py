"""The bundled models (``models.json``): facts that need no network and no waiting.

One model a line, its config by the present field names, with its source. Knows how the table is
laid out and nothing of what a field means.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from skyserve_llm.sources.model.spec import model_spec
from skyserve_llm.types import ModelSpec

_TABLE = Path(__file__).with_name("models.json")


def bundled_model(name: str) -> ModelSpec | None:
    """The bundled model of that id or alias, in any case of letters; None where there is none."""
    wanted = f'"{name}"'.lower()
    for line in _lines():
        # Only the line that holds the name is parsed: the whole table costs `plan` a millisecond.
        if wanted in line.lower():
            record = _record(line)
            for known in (record["id"], *record["aliases"]):
                if known.lower() == name.lower():
                    return _spec(record, known)
    return None


def bundled_models() -> list[ModelSpec]:
    """Every bundled model, in the table's order."""
    return [_spec(record, record["id"]) for record in map(_record, _lines())]


def bundled_names() -> list[str]:
    """Every name a bundled model goes by."""
    records = map(_record, _lines())
    return [name for record in records for name in (record["id"], *record["aliases"])]


@cache
def _lines() -> list[str]:
    return _TABLE.read_text(encoding="utf-8").splitlines()[1:-1]


def _record(line: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(line.rstrip(","))
    return record


def _spec(record: dict[str, Any], name: str) -> ModelSpec:
    return model_spec(
        record["config"],
        model_id=name,
        source=f"bundled: {record['source']}",
    )
