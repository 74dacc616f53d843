"""What each layer of a model remembers of a token: config → groups of ``AttentionLayers``.

Follows vLLM's per-layer KV specs (vllm/v1/kv_cache_interface.py). Knows configs; memory in
bytes is the planner's.
"""

from collections import Counter

from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.types import AttentionLayers

_ALTERNATE_BY_DEFAULT = {"gemma2": 2, "gemma3_text": 6, "gemma3": 6, "gpt_oss": 2}
"""One full-attention layer in so many, where the config has a window but no layer list."""

_WINDOW_ON_EVERY_LAYER = {"mistral", "mixtral", "phi3", "starcoder2"}


def head_dim(config: ModelConfig) -> int:
    """``head_dim``, or hidden size over heads where the config leaves it out."""
    heads = config.integer("num_attention_heads")
    hidden = config.integer("hidden_size")
    if config.has("head_dim"):
        return config.integer("head_dim")
    if hidden % heads:
        raise config.error("hidden_size", hidden, f"a multiple of num_attention_heads ({heads})")
    return hidden // heads


def kv_heads(config: ModelConfig) -> int:
    return config.integer("num_key_value_heads", config.integer("num_attention_heads"))


def layer_kinds(config: ModelConfig) -> list[str]:
    """One of ``full_attention``, ``sliding_attention``, ``linear_attention``, ``mamba`` or
    ``none`` for each layer, from whichever way the config tells it."""
    layers = config.integer("num_hidden_layers")
    pattern = config.get("hybrid_override_pattern")
    if pattern is not None:
        if not isinstance(pattern, str) or len(pattern) != layers:
            raise config.error("hybrid_override_pattern", pattern, f"{layers} letters")
        return [{"M": "mamba", "*": "full_attention"}.get(letter, "none") for letter in pattern]
    listed = config.names("layer_types")
    if listed is not None:
        if len(listed) != layers:
            raise config.error("layer_types", listed, f"{layers} names")
        return listed
    if config.has("full_attention_interval"):
        interval = config.integer("full_attention_interval")
        return [
            "full_attention" if (i + 1) % interval == 0 else "linear_attention"
            for i in range(layers)
        ]
    if config.has("attention_chunk_size"):  # Llama 4: every fourth layer sees everything
        interval = config.integer("no_rope_layer_interval", 4)
        return [
            "full_attention" if (i + 1) % interval == 0 else "chunked_attention"
            for i in range(layers)
        ]
    window = sliding_window(config)
    model_type = config.text("model_type")
    if not window:
        return ["full_attention"] * layers
    if model_type in _WINDOW_ON_EVERY_LAYER:
        return ["sliding_attention"] * layers
    every = config.integer("sliding_window_pattern", _ALTERNATE_BY_DEFAULT.get(model_type, 1))
    return [
        "full_attention" if (i + 1) % every == 0 else "sliding_attention" for i in range(layers)
    ]


def sliding_window(config: ModelConfig) -> int:
    """Tokens a sliding layer looks back on; 0 where there is no window that can bind."""
    if not config.flag("use_sliding_window", True) or not config.has("sliding_window"):
        return 0
    window = config.integer("sliding_window")
    return 0 if window >= config.integer("max_position_embeddings") else window


def attention_layers(config: ModelConfig) -> tuple[AttentionLayers, ...]:
    """The groups of layers that keep the same state for a token."""
    if config.has("kv_lora_rank"):
        latent = config.integer("kv_lora_rank") + config.integer("qk_rope_head_dim")
        layers = config.integer("num_hidden_layers")
        mla = AttentionLayers(kind="mla", layers=layers, latent_dim=latent)
        if not config.has("index_head_dim"):
            return (mla,)
        # DeepSeek sparse attention caches one index key a token: fp8, with a float32 scale for
        # each 128 values, which is 132 bytes = 66 values of 16 bits (vLLM's indexer cache).
        index_values = (config.integer("index_head_dim") + 4) // 2
        return (mla, AttentionLayers(kind="mla", layers=layers, latent_dim=index_values))
    return tuple(
        _group(config, kind, n)
        for kind, n in Counter(layer_kinds(config)).items()
        if kind != "none"
    )


def _group(config: ModelConfig, kind: str, layers: int) -> AttentionLayers:
    if kind in ("full_attention", "attention"):
        heads = config.integer("num_global_key_value_heads", kv_heads(config))
        dim = config.integer("global_head_dim", head_dim(config))
        return AttentionLayers(kind="full", layers=layers, kv_heads=heads, head_dim=dim)
    if kind in ("sliding_attention", "chunked_attention"):
        window = sliding_window(config) or config.integer("attention_chunk_size", 0)
        if not window:
            return AttentionLayers(
                kind="full", layers=layers, kv_heads=kv_heads(config), head_dim=head_dim(config)
            )
        return AttentionLayers(
            kind="sliding",
            layers=layers,
            kv_heads=kv_heads(config),
            head_dim=head_dim(config),
            window=window,
        )
    if kind == "linear_attention":
        return AttentionLayers(kind="state", layers=layers, state_values=_delta_net_state(config))
    if kind == "mamba":
        return AttentionLayers(kind="state", layers=layers, state_values=_mamba_state(config))
    raise config.error("layer_types", kind, "a kind of layer whose memory we know")


def _delta_net_state(config: ModelConfig) -> int:
    """Convolution window and recurrent matrix of a gated DeltaNet layer (Qwen3-Next)."""
    keys = config.integer("linear_num_key_heads") * config.integer("linear_key_head_dim")
    values = config.integer("linear_num_value_heads") * config.integer("linear_value_head_dim")
    window = (config.integer("linear_conv_kernel_dim") - 1) * (2 * keys + values)
    return window + values * config.integer("linear_key_head_dim")


def _mamba_state(config: ModelConfig) -> int:
    """Convolution window and SSM state of a Mamba-2 layer."""
    inner = config.integer("mamba_num_heads") * config.integer("mamba_head_dim")
    state = config.integer("ssm_state_size")
    window = (config.integer("conv_kernel") - 1) * (inner + 2 * config.integer("n_groups") * state)
    return window + inner * state
