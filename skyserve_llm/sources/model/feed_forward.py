"""How many weights work on each token alone: MLPs, routed and shared experts, routers."""

from typing import NamedTuple

from skyserve_llm.sources.model.blocks import blocks
from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.families import Family
from skyserve_llm.sources.model.layers import MAX_LAYERS, num_hidden_layers

_BOTH_IN_EVERY_LAYER = {"gemma4", "gemma4_text"}
"""Families whose layers have a dense MLP beside their experts."""

_SHARED_IN_EVERY_LAYER = {"granitemoehybrid"}
"""Families whose layers all have the shared expert, and none but it where there are no others."""


class FeedForward(NamedTuple):
    """Weights over all layers; ``routers`` with whatever else steers experts."""

    dense: int = 0
    experts: int = 0
    shared: int = 0
    routers: int = 0


def feed_forward_weights(config: ModelConfig, family: Family) -> FeedForward:
    """MLPs over all layers."""
    hidden, model_type = config.integer("hidden_size"), config.text("model_type")
    listed = blocks(config)
    if listed is not None:
        return FeedForward(dense=sum(_mlp(config, family, block.width) for block in listed))
    dense_layers, expert_layers = split_layers(config)
    shared = _mlp(config, family, shared_width(config, family))
    if model_type in _SHARED_IN_EVERY_LAYER and not expert_layers:
        return FeedForward(shared=dense_layers * shared)
    dense = dense_layers * _mlp(config, family, dense_width(config, family)) if dense_layers else 0
    if model_type == "apertus":
        dense += dense_layers * 4  # the xIELU activation's four scalars
    if not expert_layers:
        return FeedForward(dense=dense)
    number, width = num_experts(config), expert_width(config, family)
    latent = config.integer("moe_latent_size", 0)  # Nemotron-H's experts may work in a narrower one
    expert = _mlp(config, family, width, latent or hidden)
    if model_type == "gpt_oss":
        expert += 2 * width + hidden  # biases of both projections
    router = hidden * number + number * config.holds(family.router_bias)
    if config.has("shared_expert_intermediate_size") and model_type.startswith("qwen"):
        router += hidden  # the gate of the shared expert
    router += 2 * hidden * latent
    if model_type in _BOTH_IN_EVERY_LAYER:
        # Three more norms, the router's own scale, and one scale an expert.
        router += 4 * hidden + number
    return FeedForward(
        dense=dense,
        experts=expert_layers * number * expert,
        shared=expert_layers * shared,
        routers=expert_layers * router,
    )


def feed_forward_width(config: ModelConfig, family: Family) -> int:
    """The widest inner layer one token passes through: a dense MLP's or its experts' together."""
    listed = blocks(config)
    if listed is not None:
        return max(block.width for block in listed)
    dense_layers, expert_layers = split_layers(config)
    shared = shared_width(config, family)
    if config.text("model_type") in _SHARED_IN_EVERY_LAYER and not expert_layers:
        return shared
    dense = dense_width(config, family) if dense_layers else 0
    if not expert_layers:
        return dense
    routed = config.integer("num_experts_per_tok") * expert_width(config, family)
    return max(dense, routed + shared)


def num_experts(config: ModelConfig) -> int:
    """Routed experts in a layer; 0 where there are none, as some configs say themselves."""
    return config.integer("num_experts", minimum=0) if config.has("num_experts") else 0


def dense_width(config: ModelConfig, family: Family) -> int:
    """Inner width of a dense MLP."""
    if config.has("intermediate_size_mlp"):  # Llama 4: intermediate_size is an expert's
        return config.integer("intermediate_size_mlp")
    if not config.has("intermediate_size") and family.width:
        return family.width * config.integer("hidden_size")
    width = config.integer("intermediate_size")
    if config.text("model_type") == "lfm2" and config.flag("block_auto_adjust_ff_dim", False):
        return _adjusted_width(config, width)
    return width


def _adjusted_width(config: ModelConfig, width: int) -> int:
    """Two thirds of the stated width, up to a multiple (transformers models/lfm2, ``Lfm2MLP``)."""
    multiplier = config.number(
        "block_ffn_dim_multiplier", config.get("block_ffn_dim_multiplier") or 1.0
    )
    multiple = config.integer("block_multiple_of")
    return -(-int(multiplier * int(2 * width / 3)) // multiple) * multiple


def expert_width(config: ModelConfig, family: Family) -> int:
    """Inner width of one routed expert."""
    if config.has("moe_intermediate_size"):
        return config.integer("moe_intermediate_size")
    if config.has("intermediate_size_mlp"):
        return config.integer("intermediate_size")
    return dense_width(config, family)


def shared_width(config: ModelConfig, family: Family) -> int:
    """Inner width of the shared experts taken together; 0 where there are none."""
    model_type = config.text("model_type")
    if config.has("shared_expert_intermediate_size"):
        return config.integer("shared_expert_intermediate_size", minimum=0)
    if model_type.startswith("llama4"):
        return config.integer("intermediate_size")
    if model_type == "hunyuan_v1_moe":
        number = config.integer("n_shared_experts", 1)
        return number * expert_width(config, family)
    if config.has("n_shared_experts"):
        return config.integer("n_shared_experts", minimum=0) * expert_width(config, family)
    return 0


def _mlp(config: ModelConfig, family: Family, width: int, around: int = 0) -> int:
    """One MLP of that inner width, between states of the hidden size or of ``around``."""
    hidden, bias = around or config.integer("hidden_size"), config.holds(family.mlp_bias)
    if not width:
        return 0
    matrices = 3 if family.gated_mlp else 2
    return matrices * hidden * width + bias * (hidden + (matrices - 1) * width)


def split_layers(config: ModelConfig) -> tuple[int, int]:
    """(layers with a dense MLP, layers with experts)."""
    layers = num_hidden_layers(config)
    pattern = config.get("hybrid_override_pattern")
    if isinstance(pattern, str):
        return pattern.count("-"), pattern.count("E")
    listed = config.names("mlp_layer_types")
    if listed is not None:
        return listed.count("dense"), listed.count("sparse")
    kinds = config.names("layer_types")
    if kinds is not None and {"mlp", "moe"} & set(kinds):  # Nemotron-H's layers do one thing each
        return kinds.count("mlp"), kinds.count("moe")
    if not num_experts(config):
        return layers, 0
    if config.text("model_type") in _BOTH_IN_EVERY_LAYER:
        return layers, layers
    sparse_layers = sum(_has_experts(config, i) for i in range(layers))
    return layers - sparse_layers, sparse_layers


def _has_experts(config: ModelConfig, layer: int) -> bool:
    if config.has("expert_layer_period"):  # Jamba
        period = config.integer("expert_layer_period")
        return layer % period == config.integer("expert_layer_offset", minimum=0)
    if config.has("moe_layer_interval"):  # ERNIE
        first = config.integer("moe_layer_start_index", 0, minimum=0)
        last = config.integer("moe_layer_end_index", MAX_LAYERS, minimum=-1)
        in_range = first <= layer <= (MAX_LAYERS if last == -1 else last)
        return in_range and (layer + 1) % config.integer("moe_layer_interval") == 0
    if config.has("interleave_moe_layer_step"):  # Llama 4
        return (layer + 1) % config.integer("interleave_moe_layer_step") == 0
    if config.has("first_k_dense_replace"):  # DeepSeek
        first = config.integer("first_k_dense_replace", minimum=0)
        return layer >= first and layer % config.integer("moe_layer_freq", 1) == 0
    dense_only = config.integers("mlp_only_layers") or ()  # Qwen
    return (layer + 1) % config.integer("decoder_sparse_step", 1) == 0 and layer not in dense_only
