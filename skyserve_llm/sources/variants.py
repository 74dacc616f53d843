"""Repositories that hold a model's weights quantized, where some are known (``variants.json``).

One repository a line, with what it states of its quantization and where that was read. Knows the
table; whether a variant may stand in for its model is the planner's question.
"""

import json
from pathlib import Path

from skyserve_llm.types import Quantization, Variant

_TABLE = Path(__file__).with_name("variants.json")


def load_variants(model_id: str, path: Path = _TABLE) -> tuple[Variant, ...]:
    """The known variants of ``model_id``, in the table's order.

    Raises:
        InputError: a row's quantization is not one that vLLM loads.
    """
    return tuple(
        Variant(repository=row["repository"], quantization=found, source=row["source"])
        for row in json.loads(path.read_text(encoding="utf-8"))
        if row["of"].lower() == model_id.lower() and (found := _quantization(row, path)) is not None
    )


def _quantization(row: dict[str, object], path: Path) -> Quantization | None:
    # Few models have variants: the others' plans do not pay for reading configs.
    from skyserve_llm.sources.model.config import ModelConfig
    from skyserve_llm.sources.model.quantization import quantization

    raw = {"quantization_config": row["quantization"]}
    return quantization(ModelConfig(raw, origin=f"{path.name}: {row['repository']}"))
