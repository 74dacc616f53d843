"""How wide a token is on its way through a model: config → ``Dimensions``.

What the planner makes activations, the sampler's peak and MLA's workspace of. Knows configs.
"""

from collections.abc import Mapping

from skyserve_llm.sources.model.blocks import blocks
from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.context import context_length
from skyserve_llm.sources.model.families import Family
from skyserve_llm.sources.model.feed_forward import (
    dense_width,
    expert_width,
    shared_width,
    split_layers,
)
from skyserve_llm.sources.model.images import image_tokens
from skyserve_llm.sources.model.layers import Layer, head_dim, is_latent, layers
from skyserve_llm.types import Dimensions

_TURNED_SHARES = (("qwen3_next", 0.25), ("qwen3_5", 0.25), ("minimax_m2", 0.5))
"""What families turn of a head by themselves, where the config does not say."""

_OWN_ROPE_FOR_WINDOWS = ("gemma3", "gemma4")
"""Families whose windowed layers turn at another rate, with a table of their own."""


def dimensions(config: ModelConfig, family: Family) -> Dimensions:
    """The widest of each over all layers.

    Raises:
        InputError: a field is missing or impossible.
    """
    heads = config.integer("num_attention_heads")
    held = 3 if family.gated_mlp else 2
    dense, expert, shared = _inner_widths(config, family)
    image, image_hidden, image_inner = image_tokens(config)
    wide = Dimensions(
        mlp=held * dense,
        expert=expert,
        shared=held * shared,
        rope_cache_values=_rope_cache(config),
        image_tokens=image,
        image_hidden=image_hidden,
        image_inner=image_inner,
    )
    if is_latent(config):
        value, nope = config.integer("v_head_dim"), config.integer("qk_nope_head_dim")
        return wide._replace(
            query=heads * (nope + config.integer("qk_rope_head_dim")),
            output=heads * value,
            key_value=config.integer("kv_lora_rank") + config.integer("qk_rope_head_dim"),
            latent_context=heads * (nope + value),
            latent_rank=config.integer("kv_lora_rank"),
        )
    softmax = [layer for layer in layers(config) if layer.kv_heads] or [Layer("none")]
    widest = max(layer.head_dim for layer in softmax)
    return wide._replace(
        query=heads * widest * (2 if family.gated_attention else 1),
        output=heads * widest,
        key_value=max(2 * layer.kv_heads * layer.head_dim for layer in softmax),
    )


def _inner_widths(config: ModelConfig, family: Family) -> tuple[int, int, int]:
    """(a dense MLP's, a routed expert's, the shared experts' together), 0 where there is none."""
    listed = blocks(config)
    if listed is not None:
        return max(block.width for block in listed), 0, 0
    dense_layers, expert_layers = split_layers(config)
    return (
        dense_width(config, family) if dense_layers else 0,
        expert_width(config, family) if expert_layers else 0,
        shared_width(config, family),
    )


def _rope_cache(config: ModelConfig) -> int:
    """Cosines and sines for every position (vllm/model_executor/layers/rotary_embedding)."""
    if is_latent(config):
        turned = config.integer("qk_rope_head_dim")
    else:
        turned = int(head_dim(config) * _turned_share(config))
    tables = 2 if config.text("model_type").startswith(_OWN_ROPE_FOR_WINDOWS) else 1
    return context_length(config) * turned * tables


def _turned_share(config: ModelConfig) -> float:
    """The part of a head that is turned by position."""
    parameters = config.get("rope_parameters")
    nested = parameters.get("partial_rotary_factor") if isinstance(parameters, Mapping) else None
    for field, value in (
        ("partial_rotary_factor", config.get("partial_rotary_factor")),
        ("rope_parameters.partial_rotary_factor", nested),
        ("rotary_pct", config.get("rotary_pct")),
    ):
        if value is not None:
            return config.number(field, value)
    return next((s for name, s in _TURNED_SHARES if config.text("model_type").startswith(name)), 1)
