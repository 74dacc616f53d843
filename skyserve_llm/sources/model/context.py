"""How long a context a model takes, as vLLM derives it from the config.

Follows vllm/config/model.py (``_get_and_verify_max_len``) and, for the names of the field,
vllm/transformers_utils/model_arch_config_convertor.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.names import CONTEXT_NAMES

_WITHOUT_LIMIT = {"bloom": 2048}
"""Families whose positions know no end (ALiBi), and what vLLM then assumes."""

_ALREADY_SCALED = {"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"}
"""Kinds of RoPE scaling whose factor the stated context already contains."""


def context_length(config: ModelConfig) -> int:
    """The longest context that vLLM serves without being told otherwise or forced.

    Raises:
        InputError: no field states it, or one states what cannot be.
    """
    if config.has("model_max_length"):
        return config.integer("model_max_length")
    stated = [config.integer(name) for name in CONTEXT_NAMES if config.has(name)]
    assumed = _WITHOUT_LIMIT.get(config.text("model_type"))
    longest = min(stated) if stated else config.integer("max_position_embeddings", assumed)
    if "gemma3" in config.served_type:
        return longest
    factor = 1.0
    for scaling in _rope_scalings(config):
        kind = scaling.get("rope_type", scaling.get("type", "default"))
        if kind not in _ALREADY_SCALED and scaling.get("factor") is not None:
            factor = config.number("rope_scaling.factor", scaling["factor"])
    return int(longest * factor)


def default_context_length(config: ModelConfig) -> int:
    """What vLLM serves unless told: LongRoPE models stay within their original context."""
    if any("longrope" in scaling.values() for scaling in _rope_scalings(config)):
        return config.integer("original_max_position_embeddings", context_length(config))
    return context_length(config)


def _rope_scalings(config: ModelConfig) -> Iterator[Mapping[str, Any]]:
    """RoPE's parameters: one set for all layers, or one for each kind of layer."""
    for field in ("rope_scaling", "rope_parameters"):
        found = config.get(field)
        if found is None:
            continue
        if not isinstance(found, Mapping):
            raise config.error(field, found, "an object")
        nested = [value for value in found.values() if isinstance(value, Mapping)]
        yield from nested or [found]
