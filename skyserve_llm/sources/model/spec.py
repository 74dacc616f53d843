"""config, and the checkpoint's headers where they are at hand → ``ModelSpec``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skyserve_llm.errors import InputError
from skyserve_llm.sources.model.attention import attention_layers
from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.context import context_length, default_context_length
from skyserve_llm.sources.model.dimensions import dimensions
from skyserve_llm.sources.model.families import FAMILIES, Family
from skyserve_llm.sources.model.feed_forward import feed_forward_width, num_experts
from skyserve_llm.sources.model.layers import num_hidden_layers
from skyserve_llm.sources.model.parameters import parameter_counts
from skyserve_llm.sources.model.quantization import quantization
from skyserve_llm.types import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from skyserve_llm.sources.model.tensors import Checkpoint
    from skyserve_llm.types import AttentionLayers, ParameterCounts

DISAGREEMENT = 0.05
"""A config and its weights that differ by more are not of one model."""

_TOLD_BY_WEIGHTS = {"modelopt_mixed"}
"""Methods of which only the weights tell how many bits they take."""


def model_spec(
    raw: Mapping[str, Any],
    *,
    model_id: str,
    source: str,
    revision: str | None = None,
    weights: Checkpoint | None = None,
    max_new_tokens: int | None = None,
) -> ModelSpec:
    """Read a parsed ``config.json``; ``weights`` are what the checkpoint's own headers tell.

    Where both the config's closed form and the headers count the weights, the headers win.

    Raises:
        InputError: a field is missing, impossible or unknown; the message names it. Or the config
            and the weights are not of one model.
    """
    config = ModelConfig(raw, origin=model_id)
    family = FAMILIES.get(config.text("model_type"))
    if family is None and weights is None:
        raise InputError(
            f"{model_id}: field 'model_type' is '{config.text('model_type')}', "
            "not a family whose weights we can count",
            hint="the weights tell it themselves: plan the model by its id on the Hub, or put its "
            "safetensors files beside config.json",
        )
    stored = quantization(config)
    if stored and stored.method in _TOLD_BY_WEIGHTS and weights is None:
        raise config.error(
            "quantization_config.quant_algo",
            "MIXED_PRECISION",
            "readable without the weights' own headers",
        )
    vision = _vision(config)
    attention = attention_layers(config)
    parameters = _parameters(config, family, vision, weights, attention)
    if vision is None and weights is None:
        source += "; without its vision tower, whose size is not known"
    return ModelSpec(
        id=model_id,
        revision=revision,
        architecture=config.architecture,
        model_type=config.served_type,
        dtype=_dtype(config, weights),
        quantization=stored,
        hidden_size=config.integer("hidden_size"),
        num_hidden_layers=num_hidden_layers(config),
        num_attention_heads=config.integer("num_attention_heads"),
        vocab_size=config.integer("vocab_size"),
        max_position_embeddings=context_length(config),
        feed_forward_width=feed_forward_width(config, family or Family()),
        attention=attention,
        parameters=parameters,
        num_experts=num_experts(config),
        num_experts_per_tok=config.integer("num_experts_per_tok") if num_experts(config) else 0,
        source=source,
        max_new_tokens=max_new_tokens,
        custom_code=config.custom_code,
        checkpoint_bytes=weights.size_bytes if weights else None,
        tensor_modules=weights.modules if weights else (),
        default_max_model_len=_default_max_model_len(config),
        dimensions=dimensions(config, family or Family()),
    )


def _default_max_model_len(config: ModelConfig) -> int | None:
    default = default_context_length(config)
    return default if default < context_length(config) else None


def _vision(config: ModelConfig) -> int | None:
    """Weights of the vision tower; 0 where there is none, None where its size is not known."""
    if config.outer.get("vision_config") is None:
        return 0
    from skyserve_llm.sources.model.vision import vision_weights

    return vision_weights(config)


def _parameters(
    config: ModelConfig,
    family: Family | None,
    vision: int | None,
    weights: Checkpoint | None,
    attention: tuple[AttentionLayers, ...],
) -> ParameterCounts:
    described = family and parameter_counts(config, family, vision=vision or 0)
    if weights is None:
        assert described is not None
        return described
    held = weights.parameters
    if described is None:
        _check_memory(config, weights, attention)
        return held
    ours, theirs = described.total - described.vision, held.total - held.vision
    if abs(ours - theirs) > DISAGREEMENT * max(ours, theirs):
        raise InputError(
            f"{config.origin}: config.json describes {ours:,} weights, "
            f"the checkpoint holds {theirs:,}",
            hint="the config or some of the weights are another model's; download both again",
        )
    return held


def _check_memory(
    config: ModelConfig, weights: Checkpoint, attention: tuple[AttentionLayers, ...]
) -> None:
    """For a family we do not know: what its layers remember must show in its K and V weights."""
    cached = sum(2 * group.layers * group.kv_heads * group.head_dim for group in attention)
    if cached and weights.key_value_rows not in (None, cached):
        raise InputError(
            f"{config.origin}: config.json tells of {cached:,} key and value channels, "
            f"the checkpoint holds {weights.key_value_rows:,}",
            hint=f"'{config.text('model_type')}' keeps its context in a way that we do not know",
        )


def _dtype(config: ModelConfig, weights: Checkpoint | None) -> str:
    """The config's dtype; else the weights' own; else what vLLM takes for quantized ones."""
    if config.dtype is not None:
        return config.dtype
    stored = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
    for name, _ in weights.dtypes if weights else ():
        if name in stored:
            return stored[name]
    if config.has("quantization_config"):  # gpt-oss and MiniMax state none
        return "bfloat16"
    raise config.error("torch_dtype", None, "a dtype")
