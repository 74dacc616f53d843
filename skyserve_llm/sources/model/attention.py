"""What each layer of a model remembers of a token: config → groups of ``AttentionLayers``.

Follows vLLM's per-layer KV specs (vllm/v1/kv_cache_interface.py). Knows configs; memory in
bytes is the planner's.
"""

from collections import Counter
from collections.abc import Callable

from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.layers import (
    Layer,
    index_layers,
    is_latent,
    layers,
    num_hidden_layers,
    sliding_window,
)
from skyserve_llm.types import AttentionLayers

_CACHES_A_LATENT = {
    "axk1", "bailing_hybrid", "deepseek_v2", "deepseek_v3", "deepseek_v32", "dots3_note",
    "glm4_moe_lite", "glm5_next", "glm5_next_text", "glm_moe_dsa", "hy_v4", "kimi_k2",
    "kimi_k25", "kimi_linear", "longcat_flash", "pangu_ultra_moe",
}  # fmt: skip
"""Families whose latent vLLM caches as it is (``is_deepseek_mla``); it expands all others'."""

_WIDE_BY_DEFAULT = ("nemotron_h", "qwen3_5")
"""Families whose recurrent state is float32 even if the config does not say so."""

_UNKNOWN_MEMORY = ("compress_ratios", "linear_attn_config", "ssm_cfg", "sparse_attention_config")
"""Fields of kinds of attention whose memory we do not know."""


def attention_layers(config: ModelConfig) -> tuple[AttentionLayers, ...]:
    """The groups of layers that keep the same state for a token.

    Raises:
        InputError: a kind of layer whose memory we do not know.
    """
    for field in _UNKNOWN_MEMORY:
        if config.has(field):
            raise config.error(field, config.get(field), "a kind of attention whose memory we know")
    if is_latent(config):
        return _latent_layers(config)
    every = layers(config)
    # The last so many layers of Gemma's smallest read the cache of earlier ones.
    own = len(every) - config.integer("num_kv_shared_layers", 0, minimum=0)
    groups: list[AttentionLayers] = []
    for layer, number in Counter(every[:own]).items():
        groups += _groups(config, layer, number)
    return tuple(groups)


def _latent_layers(config: ModelConfig) -> tuple[AttentionLayers, ...]:
    layers, rope = num_hidden_layers(config), config.integer("qk_rope_head_dim")
    if config.text("model_type") not in _CACHES_A_LATENT:
        dim = config.integer("qk_nope_head_dim") + rope
        heads = config.integer("num_attention_heads")
        return (AttentionLayers(kind="full", layers=layers, kv_heads=heads, head_dim=dim),)
    latent = config.integer("kv_lora_rank") + rope
    mla = AttentionLayers(kind="mla", layers=layers, latent_dim=latent)
    if not config.has("index_head_dim"):
        return (mla,)
    # DeepSeek sparse attention caches one index key a token: fp8, with a float32 scale for
    # each 128 values (vLLM's ``DeepseekV32IndexerCache``).
    key = config.integer("index_head_dim")
    key_bytes = key + 4 * -(-key // 128)
    indexed = index_layers(config)
    return (mla, AttentionLayers(kind="index", layers=indexed, latent_dim=key_bytes))


def _groups(config: ModelConfig, layer: Layer, number: int) -> list[AttentionLayers]:
    if layer.kind == "none":
        return []
    heads, dim = layer.kv_heads, layer.head_dim
    full = AttentionLayers(kind="full", layers=number, kv_heads=heads, head_dim=dim)
    if layer.kind == "full_attention":
        return [full]
    if layer.kind == "attention_and_mamba2":
        return [full, *_groups(config, Layer("mamba2"), number)]
    state = _STATES.get(layer.kind)
    if state is not None:
        window, recurrent = state(config)
        wide = recurrent if _is_wide(config) else 0
        values = window + recurrent
        return [AttentionLayers(kind="state", layers=number, state_values=values, wide_values=wide)]
    if window := sliding_window(config):
        return [full._replace(kind="sliding", window=window)]
    if chunk := config.integer("attention_chunk_size", 0):
        return [full._replace(kind="chunked", window=chunk)]
    return [full]


def _is_wide(config: ModelConfig) -> bool:
    """Whether the recurrent state is kept in float32: as the config says, or vLLM by itself
    (vllm/model_executor/models/config.py)."""
    for field in ("mamba_ssm_dtype", "mamba_ssm_cache_dtype"):
        if config.has(field):
            return config.text(field) == "float32"
    return config.text("model_type").startswith(_WIDE_BY_DEFAULT)


def _delta_net_state(config: ModelConfig) -> tuple[int, int]:
    """Convolution window and recurrent matrix of a gated DeltaNet layer (Qwen3-Next)."""
    keys = config.integer("linear_num_key_heads") * config.integer("linear_key_head_dim")
    values = config.integer("linear_num_value_heads") * config.integer("linear_value_head_dim")
    window = (config.integer("linear_conv_kernel_dim") - 1) * (2 * keys + values)
    return window, values * config.integer("linear_key_head_dim")


def _mamba2_state(config: ModelConfig) -> tuple[int, int]:
    """Convolution window and SSM state of a Mamba-2 layer."""
    inner = config.integer("mamba_num_heads") * config.integer("mamba_head_dim")
    state = config.integer("ssm_state_size")
    window = (config.integer("conv_kernel") - 1) * (inner + 2 * config.integer("n_groups") * state)
    return window, inner * state


def _mamba_state(config: ModelConfig) -> tuple[int, int]:
    """Convolution window and SSM state of a Mamba layer."""
    inner = config.integer("mamba_expand") * config.integer("hidden_size")
    window = (config.integer("conv_kernel") - 1) * inner
    return window, inner * config.integer("ssm_state_size")


def _convolution_state(config: ModelConfig) -> tuple[int, int]:
    """The window of LFM2's short convolution."""
    return (config.integer("conv_L_cache", 3) - 1) * config.integer("hidden_size"), 0


_STATES: dict[str, Callable[[ModelConfig], tuple[int, int]]] = {
    "delta": _delta_net_state,
    "mamba": _mamba_state,
    "mamba2": _mamba2_state,
    "conv": _convolution_state,
}
