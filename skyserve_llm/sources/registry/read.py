"""The registry's tables → what is known of one model. Knows where facts lie, decides nothing."""

import json
from pathlib import Path
from typing import Any

from skyserve_llm.types import ArchitectureSupport, ModelSpec

_FOLDER = Path(__file__).parent

_OVERRIDDEN = {"auto-round": "inc", "nvfp4": "modelopt_fp4"}
"""What a checkpoint calls a method → what vLLM makes of it (``override_quantization_method``)."""


def architecture_support(model: ModelSpec) -> ArchitectureSupport:
    """What the release that the replica installs knows of the model's architecture."""
    release = _table("vllm.json")
    name = model.architecture
    entry = release["architectures"].get(name, {"kind": "unknown"})
    method = model.quantization.method if model.quantization else ""
    known = not method or _OVERRIDDEN.get(method, method) in release["quantization"]
    return ArchitectureSupport(
        vllm_version=release["vllm_version"],
        kind=entry["kind"],
        model_types=tuple(entry.get("model_types", ())),
        experts=entry.get("experts"),
        modules=_modules(name) if model.tensor_modules else frozenset(),
        model_type_known=model.model_type in release["model_types"],
        quantization_known=known,
        quantization_extra=None if known else release["quantization_extras"].get(method),
        last_version=release["dropped"].get(name),
        plugin=release["plugins"].get(name),
    )


def quantization_methods() -> dict[str, int | None]:
    """vLLM's methods and the least compute capability (x 10) each states; None where none is."""
    methods: dict[str, int | None] = _table("vllm.json")["quantization"]
    return methods


def nested_defaults(model_type: str) -> dict[str, Any]:
    """What transformers' config class takes for the fields that a nested config leaves out."""
    found: dict[str, Any] = _table("defaults.json")["defaults"].get(model_type, {})
    return found


def _modules(architecture: str) -> frozenset[str]:
    return frozenset(_table("modules.json")["modules"].get(architecture, "").split())


def _table(name: str) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((_FOLDER / name).read_text(encoding="utf-8"))
    return table
