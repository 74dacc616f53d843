"""config → ``ModelSpec``: the one place where a config's parts come together. Pure."""

from collections.abc import Mapping
from typing import Any

from skyserve_llm.sources.model.attention import attention_layers
from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.parameters import feed_forward_width, parameter_counts
from skyserve_llm.sources.model.quantization import quantization
from skyserve_llm.types import ModelSpec


def model_spec(
    raw: Mapping[str, Any],
    *,
    model_id: str,
    source: str,
    revision: str | None = None,
    vision_parameters: int = 0,
) -> ModelSpec:
    """Read a parsed ``config.json``.

    Raises:
        InputError: a field is missing, impossible or unknown; the message names it.
    """
    config = ModelConfig(raw, origin=model_id)
    experts = config.has("num_experts")
    return ModelSpec(
        id=model_id,
        revision=revision,
        architecture=config.architecture,
        model_type=config.text("model_type"),
        dtype=config.dtype,
        quantization=quantization(config),
        hidden_size=config.integer("hidden_size"),
        num_hidden_layers=config.integer("num_hidden_layers"),
        num_attention_heads=config.integer("num_attention_heads"),
        vocab_size=config.integer("vocab_size"),
        max_position_embeddings=config.integer("max_position_embeddings"),
        feed_forward_width=feed_forward_width(config),
        attention=attention_layers(config),
        parameters=parameter_counts(config, vision=vision_parameters),
        num_experts=config.integer("num_experts") if experts else 0,
        num_experts_per_tok=config.integer("num_experts_per_tok") if experts else 0,
        source=source,
    )
