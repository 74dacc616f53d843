"""What kind each layer of a model is, and the shape of its heads, however the config tells it.

Knows configs; weights are counted in ``mixers`` and ``feed_forward``, memory of a token in
``attention``.
"""

from collections.abc import Mapping
from typing import NamedTuple

from skyserve_llm.sources.model.blocks import blocks
from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.context import context_length
from skyserve_llm.sources.model.families import FAMILIES

MAX_LAYERS = 10_000
"""Many times what any model has; a larger number is a damaged file."""


class Layer(NamedTuple):
    """What mixes tokens in one layer; heads where it is softmax attention.

    ``kind`` is ``full_attention``, ``sliding_attention``, ``chunked_attention``, ``delta``,
    ``mamba``, ``mamba2``, ``attention_and_mamba2``, ``conv`` or ``none``; ``projections`` is 1
    where keys are the values too.
    """

    kind: str
    kv_heads: int = 0
    head_dim: int = 0
    projections: int = 2


_SPELLINGS: dict[str, str] = {
    "full_attention": "full_attention",
    "attention": "full_attention",
    "indexed_attention": "full_attention",
    "deepseek_sparse_attention": "full_attention",
    "*": "full_attention",
    "sliding_attention": "sliding_attention",
    "chunked_attention": "chunked_attention",
    "conv": "conv",
    "mlp": "none",
    "moe": "none",
    "-": "none",
    "E": "none",
}
_RECURRENT = {"linear_attention", "mamba", "M"}

_FULL_ATTENTION_EVERY = {
    "gemma2": 2, "gpt_oss": 2, "cohere2": 4, "exaone4": 4, "exaone_moe": 4, "olmo3": 4,
    "gemma3": 6, "gemma3_text": 6, "gemma4": 6, "gemma4_text": 6,
}  # fmt: skip
"""One full-attention layer in so many, where the config has a window but no list of layers."""

_WINDOW_ON_EVERY_LAYER = {"mistral", "ministral3", "mixtral", "phi3", "phimoe", "starcoder2"}

_ONE_KV_HEAD = {"falcon", "gpt_bigcode"}
"""Families that say ``multi_query`` for one KV head."""


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
    heads = config.integer("num_attention_heads")
    old_decoder = not config.flag("new_decoder_architecture", False)
    if old_decoder and config.text("model_type") in _ONE_KV_HEAD:
        return 1 if config.flag("multi_query", True) else heads
    return config.integer("num_key_value_heads", heads)


def is_latent(config: ModelConfig) -> bool:
    """Whether attention goes through a low-rank latent (DeepSeek-V2, arXiv:2405.04434)."""
    return config.has("kv_lora_rank")


def layers(config: ModelConfig) -> list[Layer]:
    """Every layer of the model, in order."""
    dim, listed = head_dim(config), blocks(config)
    if listed is not None:
        return [
            Layer("full_attention", block.kv_heads, dim) if block.kv_heads else Layer("none")
            for block in listed
        ]
    heads, overrides = kv_heads(config), _overrides(config)
    return [
        _layer(config, kind, Layer(kind, heads, dim), overrides.get(str(number), {}))
        for number, kind in enumerate(layer_kinds(config))
    ]


def _layer(config: ModelConfig, kind: str, plain: Layer, override: Mapping[str, object]) -> Layer:
    if kind not in ("full_attention", "sliding_attention", "chunked_attention"):
        return plain if kind == "attention_and_mamba2" else Layer(kind)
    layer = plain
    if kind == "full_attention" and config.flag("attention_k_eq_v", False):
        # Gemma 4's global layers use the key for the value, and have KV heads of their own number.
        own = config.integer("num_global_key_value_heads", plain.kv_heads)
        layer = layer._replace(projections=1, kv_heads=own)
    if kind == "full_attention" and config.has("global_head_dim"):
        layer = layer._replace(head_dim=config.integer("global_head_dim"))
    if override:
        own_config = ModelConfig(override, origin=f"{config.origin}: per_layer_config")
        layer = layer._replace(
            head_dim=own_config.integer("head_dim", layer.head_dim),
            kv_heads=own_config.integer("num_key_value_heads", layer.kv_heads),
        )
    return layer


def _overrides(config: ModelConfig) -> Mapping[str, Mapping[str, object]]:
    """What single layers have otherwise, by their number (transformers from 5.19 on)."""
    found = config.get("per_layer_config")
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
        raise config.error("per_layer_config", found, "an object of objects")
    return found


def index_layers(config: ModelConfig) -> int:
    """Layers with an indexer of their own; others take over an earlier one's choice of tokens.

    As vLLM decides it (vllm/models/deepseek_v32/attention.py, ``skip_topk``).
    """
    if not config.has("index_head_dim"):
        return 0
    listed, number = config.names("indexer_types"), num_hidden_layers(config)
    if listed is not None:
        return listed.count("full")
    pattern = config.get("index_topk_pattern")
    if pattern is not None:
        return number - str(pattern).count("S")
    every = config.integer("index_topk_freq", 1)
    offset = config.integer("index_skip_topk_offset", 2, minimum=0)
    return sum(max(layer - offset + 1, 0) % every == 0 for layer in range(number))


def layer_kinds(config: ModelConfig) -> list[str]:
    """What mixes tokens in each layer that is not listed with all its sizes."""
    number = num_hidden_layers(config)
    kinds = _listed_kinds(config, number) or _periodic_kinds(config, number)
    if kinds:
        return kinds
    if config.text("model_type") == "falcon_h1":
        return ["attention_and_mamba2"] * number
    return _windowed_kinds(config, number)


def num_hidden_layers(config: ModelConfig) -> int:
    """How many layers there are; some configs only list them."""
    if not config.has("num_hidden_layers"):
        listed = config.get("hybrid_override_pattern") or config.names("layer_types")
        if listed:
            return len(listed)
    return config.integer("num_hidden_layers", maximum=MAX_LAYERS)


def _listed_kinds(config: ModelConfig, layers: int) -> list[str] | None:
    pattern = config.get("hybrid_override_pattern")
    if pattern is not None:
        if not isinstance(pattern, str) or len(pattern) != layers:
            raise config.error("hybrid_override_pattern", pattern, f"{layers} letters")
        return [_kind(config, "hybrid_override_pattern", letter) for letter in pattern]
    listed = config.names("layer_types")
    if listed is None:
        return None
    if len(listed) != layers:
        raise config.error("layer_types", f"a list of {len(listed)}", f"{layers} names")
    return [_kind(config, "layer_types", name) for name in listed]


def _kind(config: ModelConfig, field: str, name: str) -> str:
    if name in _RECURRENT:
        family = FAMILIES.get(config.text("model_type"))
        if family and family.recurrence:
            return family.recurrence
    elif name in _SPELLINGS:
        return _SPELLINGS[name]
    raise config.error(field, name, "a kind of layer whose memory we know")


def _periodic_kinds(config: ModelConfig, layers: int) -> list[str] | None:
    """Kinds from the places of the attention layers among others."""
    every: int | None = None
    offset, rest = 0, "delta"
    if config.has("full_attention_interval"):  # Qwen3-Next
        every = config.integer("full_attention_interval")
        offset = every - 1
    elif config.has("attn_layer_period"):  # Jamba
        every, rest = config.integer("attn_layer_period"), "mamba"
        offset = config.integer("attn_layer_offset", minimum=0)
    elif config.has("attention_chunk_size"):  # Llama 4
        every, rest = config.integer("no_rope_layer_interval", 4), "chunked_attention"
        offset = every - 1
    if every is not None:
        return ["full_attention" if i % every == offset else rest for i in range(layers)]
    for field, others in (("attn_layer_indices", "mamba2"), ("full_attn_idxs", "conv")):
        places = config.integers(field)
        if places is not None:  # Bamba, LFM2
            return ["full_attention" if i in places else others for i in range(layers)]
    return None


def _windowed_kinds(config: ModelConfig, layers: int) -> list[str]:
    model_type = config.text("model_type")
    if not sliding_window(config):
        return ["full_attention"] * layers
    if model_type in _WINDOW_ON_EVERY_LAYER:
        return ["sliding_attention"] * layers
    if config.has("max_window_layers"):  # Qwen2: the first so many layers see everything
        full = config.integer("max_window_layers", minimum=0)
        return ["full_attention" if i < full else "sliding_attention" for i in range(layers)]
    pattern = config.get("sliding_window_pattern")
    if isinstance(pattern, str) and pattern:  # EXAONE: "LLLG", one letter a layer, over and over
        return [
            "full_attention" if pattern[i % len(pattern)] == "G" else "sliding_attention"
            for i in range(layers)
        ]
    every = config.integer("sliding_window_pattern", _FULL_ATTENTION_EVERY.get(model_type, 1))
    return [
        "full_attention" if (i + 1) % every == 0 else "sliding_attention" for i in range(layers)
    ]


def sliding_window(config: ModelConfig) -> int:
    """Tokens a sliding layer looks back on; 0 where there is no window that can bind."""
    if not config.flag("use_sliding_window", True) or not config.has("sliding_window"):
        return 0
    window = config.integer("sliding_window")
    return 0 if window >= context_length(config) else window
