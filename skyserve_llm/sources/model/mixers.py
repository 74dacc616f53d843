"""How many weights mix tokens: attention and its kin, in closed form.

All forms are of one layer, in weights. The published modules they follow are named at each.
"""

from collections import Counter
from typing import NamedTuple

from skyserve_llm.sources.model.blocks import blocks
from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.families import Family
from skyserve_llm.sources.model.layers import Layer, index_layers, is_latent, layers


class Weights(NamedTuple):
    """Weights by how they split over ranks: by heads, by KV heads, or not at all."""

    split: int = 0
    kv: int = 0
    whole: int = 0

    def plus(self, other: "Weights") -> "Weights":
        return Weights(self.split + other.split, self.kv + other.kv, self.whole + other.whole)

    def times(self, number: int) -> "Weights":
        return Weights(self.split * number, self.kv * number, self.whole * number)


def mixer_weights(config: ModelConfig, family: Family) -> Weights:
    """Over all layers."""
    total = Weights()
    for layer, number in Counter(layers(config)).items():
        total = total.plus(_layer(config, family, layer).times(number))
    if is_latent(config):
        total = total.plus(_indexer(config).times(index_layers(config)))
    listed = blocks(config)
    if listed is not None:
        linear = sum(block.linear for block in listed) * config.integer("hidden_size") ** 2
        total = total.plus(Weights(split=linear))
    return total


def _layer(config: ModelConfig, family: Family, layer: Layer) -> Weights:
    if layer.kind == "none":
        return Weights()
    if layer.kind == "delta":
        return Weights(split=_delta_net(config))
    if layer.kind == "mamba":
        return Weights(split=_mamba(config))
    if layer.kind == "mamba2":
        return Weights(split=_mamba2(config, gate_norm=True))
    if layer.kind == "conv":
        return Weights(split=_short_convolution(config))
    if layer.kind == "attention_and_mamba2":
        both = _mamba2(config, gate_norm=config.flag("mamba_rms_norm", False))
        return _grouped(config, family, layer).plus(Weights(split=both))
    return _latent(config) if is_latent(config) else _grouped(config, family, layer)


def _grouped(config: ModelConfig, family: Family, layer: Layer) -> Weights:
    """Grouped-query attention (arXiv:2305.13245); with one KV head a query, multi-head."""
    hidden, model_type = config.integer("hidden_size"), config.text("model_type")
    query = config.integer("num_attention_heads") * layer.head_dim
    keys = layer.kv_heads * layer.head_dim
    gate = 2 if family.gated_attention else 1
    bias = config.holds(family.qkv_bias)
    split = hidden * query * gate + query * gate * bias
    split += query * hidden + hidden * config.holds(family.output_bias)
    if model_type == "gpt_oss":
        split += config.integer("num_attention_heads")  # one attention sink a head
    norm = {"": 0, "head": 2 * layer.head_dim, "all_heads": query + keys}[family.qk_norm]
    whole = norm * config.holds(family.qk_norm_if) * (2 if family.qk_norm_bias else 1)
    return Weights(split=split, kv=layer.projections * (hidden * keys + keys * bias), whole=whole)


def _latent(config: ModelConfig) -> Weights:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1)."""
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    rope, nope = config.integer("qk_rope_head_dim"), config.integer("qk_nope_head_dim")
    value, kv_rank = config.integer("v_head_dim"), config.integer("kv_lora_rank")
    bias = config.flag("attention_bias", False)
    whole = hidden * (kv_rank + rope) + kv_rank + (kv_rank + rope) * bias
    if config.has("q_lora_rank"):
        rank = config.integer("q_lora_rank")
        whole += hidden * rank + rank + rank * bias
        split = rank * heads * (nope + rope)
    else:
        split = hidden * heads * (nope + rope)
    split += kv_rank * heads * (nope + value) + heads * value * hidden + hidden * bias
    return Weights(split=split, whole=whole)


def _indexer(config: ModelConfig) -> Weights:
    """Of DeepSeek's sparse attention: query, key and head projections, a key norm with bias."""
    if not config.has("index_head_dim"):
        return Weights()
    hidden, rank = config.integer("hidden_size"), config.integer("q_lora_rank")
    dim, heads = config.integer("index_head_dim"), config.integer("index_n_heads")
    return Weights(whole=rank * heads * dim + hidden * dim + 2 * dim + hidden * heads)


def _delta_net(config: ModelConfig) -> int:
    """Gated DeltaNet (arXiv:2412.06464) as Qwen3-Next builds it."""
    hidden = config.integer("hidden_size")
    value_heads = config.integer("linear_num_value_heads")
    value_dim = config.integer("linear_value_head_dim")
    keys = config.integer("linear_num_key_heads") * config.integer("linear_key_head_dim")
    values = value_heads * value_dim
    inputs = hidden * (2 * keys + 2 * values) + hidden * 2 * value_heads
    window = (2 * keys + values) * config.integer("linear_conv_kernel_dim")
    return inputs + window + 2 * value_heads + value_dim + values * hidden


def _mamba2(config: ModelConfig, *, gate_norm: bool) -> int:
    """Mamba-2 mixer (arXiv:2405.21060) as Nemotron-H and Granite build it."""
    hidden, heads = config.integer("hidden_size"), config.integer("mamba_num_heads")
    inner = heads * config.integer("mamba_head_dim")
    channels = inner + 2 * config.integer("n_groups") * config.integer("ssm_state_size")
    inputs = hidden * (inner + channels + heads)
    window = channels * config.integer("conv_kernel") + channels
    return inputs + window + 3 * heads + inner * gate_norm + inner * hidden


def _mamba(config: ModelConfig) -> int:
    """Mamba mixer (arXiv:2312.00752) as Jamba builds it, with norms on dt, B and C."""
    hidden, state = config.integer("hidden_size"), config.integer("ssm_state_size")
    inner, rank = config.integer("mamba_expand") * hidden, mamba_rank(config)
    window = inner * config.integer("conv_kernel") + inner
    selection = inner * (rank + 2 * state) + rank * inner + inner
    return (
        2 * hidden * inner
        + window
        + selection
        + inner * state
        + inner
        + rank
        + 2 * state
        + (inner * hidden)
    )


def mamba_rank(config: ModelConfig) -> int:
    """Rank of the time step's projection: stated, or a sixteenth of the hidden size."""
    if config.get("mamba_dt_rank") == "auto":
        return -(-config.integer("hidden_size") // 16)
    return config.integer("mamba_dt_rank")


def _short_convolution(config: ModelConfig) -> int:
    """LFM2's gated short convolution (transformers models/lfm2, ``Lfm2ShortConv``)."""
    hidden, bias = config.integer("hidden_size"), config.flag("conv_bias", False)
    window = hidden * config.integer("conv_L_cache", 3)
    return hidden * 3 * hidden + window + hidden * hidden + bias * (3 + 1 + 1) * hidden
