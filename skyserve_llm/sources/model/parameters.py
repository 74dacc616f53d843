"""How many weights a config describes, in closed form, by family.

The forms follow the modules of transformers 5.19 and are exact: they give what instantiating
each model on the meta device gives, to the weight (the bundled models' tests). Layers for
multi-token prediction are left out, as vLLM leaves them out unless asked. A family
that is not here is refused, never counted as if it were a Llama.
"""

from typing import Literal, NamedTuple

from skyserve_llm.sources.model.attention import head_dim, kv_heads, layer_kinds
from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.types import ParameterCounts


class Family(NamedTuple):
    """What a family adds to the plain pre-norm transformer with a gated MLP."""

    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    gated_mlp: bool = True
    norms: int = 2
    norm_bias: bool = False
    qk_norm: Literal["", "head", "all_heads"] = ""
    gated_attention: bool = False
    head_bias: bool = False
    router_bias: bool = False
    tied: bool = False


FAMILIES = {
    "deepseek_v2": Family(),
    "deepseek_v3": Family(router_bias=True),
    "deepseek_v32": Family(router_bias=True),
    "gemma": Family(tied=True),
    "gemma2": Family(norms=4, tied=True),
    "gemma3": Family(norms=4, qk_norm="head", tied=True),
    "gemma3_text": Family(norms=4, qk_norm="head", tied=True),
    "gemma4": Family(norms=4, qk_norm="head", tied=True),
    "gemma4_text": Family(norms=4, qk_norm="head", tied=True),
    "glm_moe_dsa": Family(router_bias=True),
    "gpt_oss": Family(router_bias=True),
    "internlm2": Family(),
    "kimi_k2": Family(router_bias=True),
    "kimi_k25": Family(router_bias=True),
    "llama": Family(),
    "llama4": Family(),
    "llama4_text": Family(),
    "mimo": Family(),
    "minimax_m2": Family(qk_norm="all_heads", router_bias=True),
    "mistral": Family(),
    "mixtral": Family(),
    "nemotron_h": Family(gated_mlp=False, norms=1, router_bias=True),
    "olmo2": Family(qk_norm="all_heads"),
    "phi": Family(
        qkv_bias=True, output_bias=True, mlp_bias=True, gated_mlp=False, norms=1, norm_bias=True,
        head_bias=True,
    ),
    "phi-msft": Family(
        qkv_bias=True, output_bias=True, mlp_bias=True, gated_mlp=False, norms=1, norm_bias=True,
        head_bias=True,
    ),
    "phi3": Family(),
    "qwen2": Family(qkv_bias=True),
    "qwen2_moe": Family(qkv_bias=True),
    "qwen3": Family(qk_norm="head"),
    "qwen3_moe": Family(qk_norm="head"),
    "qwen3_next": Family(qk_norm="head", gated_attention=True),
    "qwen3_5": Family(qk_norm="head", gated_attention=True),
    "qwen3_5_text": Family(qk_norm="head", gated_attention=True),
    "qwen3_5_moe": Family(qk_norm="head", gated_attention=True),
    "qwen3_5_moe_text": Family(qk_norm="head", gated_attention=True),
    "starcoder2": Family(
        qkv_bias=True, output_bias=True, mlp_bias=True, gated_mlp=False, norm_bias=True, tied=True
    ),
}  # fmt: skip


def parameter_counts(config: ModelConfig, *, vision: int = 0) -> ParameterCounts:
    """Count the weights that a text server loads; ``vision`` is the tower's, known elsewhere.

    Raises:
        InputError: a field is missing or impossible, or the family is not one of ours.
    """
    model_type = config.text("model_type")
    family = FAMILIES.get(model_type)
    if family is None:
        raise config.error("model_type", model_type, "a family whose weights we can count")
    hidden, vocab = config.integer("hidden_size"), config.integer("vocab_size")
    layers = config.integer("num_hidden_layers")
    tied = config.flag("tie_word_embeddings", family.tied)
    attention, kv, mixer_replicated = _mixers(config, family)
    mlp, experts, shared, router = _feed_forward(config, family)
    norm_width = hidden * (2 if family.norm_bias else 1)
    norms = norm_width * (layers * family.norms + 1)
    head = 0 if tied else vocab * hidden + (vocab if family.head_bias else 0)
    return ParameterCounts(
        embedding=vocab * hidden,
        lm_head=head,
        attention=attention,
        kv_projection=kv,
        mlp=mlp,
        experts=experts,
        shared_experts=shared,
        replicated=norms + router + mixer_replicated,
        vision=vision,
    )


def _mixers(config: ModelConfig, family: Family) -> tuple[int, int, int]:
    """Attention and its kin over all layers: (split by heads, KV projections, replicated)."""
    split = kv = replicated = 0
    for kind in layer_kinds(config):
        if kind == "none":
            continue
        if kind == "linear_attention":
            part = (_delta_net(config), 0, 0)
        elif kind == "mamba":
            part = (_mamba(config), 0, 0)
        elif config.has("kv_lora_rank"):
            part = _latent_attention(config)
        else:
            part = _grouped_attention(config, family, kind)
        split, kv, replicated = split + part[0], kv + part[1], replicated + part[2]
    return split, kv, replicated


def _grouped_attention(config: ModelConfig, family: Family, kind: str) -> tuple[int, int, int]:
    hidden, dim, heads = config.integer("hidden_size"), head_dim(config), kv_heads(config)
    projections = 2
    if kind == "full_attention" and config.has("global_head_dim"):
        dim = config.integer("global_head_dim")
        heads = config.integer("num_global_key_value_heads", heads)
        # Gemma 4's global layers use the key for the value too.
        projections = 1 if config.flag("attention_k_eq_v", False) else 2
    query, keys = config.integer("num_attention_heads") * dim, heads * dim
    gpt_oss = config.text("model_type") == "gpt_oss"
    bias = config.flag("attention_bias", False)
    gate = 2 if family.gated_attention else 1
    split = hidden * query * gate + query * hidden
    split += query * gate * (family.qkv_bias or bias)
    split += hidden * (family.output_bias or (gpt_oss and bias))
    if gpt_oss:
        split += config.integer("num_attention_heads")  # one attention sink a head
    norm = {"": 0, "head": 2 * dim, "all_heads": query + keys}[family.qk_norm]
    return split, projections * (hidden * keys + keys * (family.qkv_bias or bias)), norm


def _latent_attention(config: ModelConfig) -> tuple[int, int, int]:
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434, section 2.1)."""
    hidden, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    rope, nope = config.integer("qk_rope_head_dim"), config.integer("qk_nope_head_dim")
    value, kv_rank = config.integer("v_head_dim"), config.integer("kv_lora_rank")
    replicated = hidden * (kv_rank + rope) + kv_rank
    if config.has("q_lora_rank"):
        rank = config.integer("q_lora_rank")
        replicated += hidden * rank + rank
        split = rank * heads * (nope + rope)
    else:
        split = hidden * heads * (nope + rope)
    split += kv_rank * heads * (nope + value) + heads * value * hidden
    if config.has("index_head_dim"):
        index_dim, index_heads = config.integer("index_head_dim"), config.integer("index_n_heads")
        # The indexer's query projection, key projection, key norm (with bias) and head weights.
        replicated += config.integer("q_lora_rank") * index_heads * index_dim
        replicated += hidden * index_dim + 2 * index_dim + hidden * index_heads
    return split, 0, replicated


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


def _mamba(config: ModelConfig) -> int:
    """Mamba-2 mixer (arXiv:2405.21060) as Nemotron-H builds it."""
    hidden, heads = config.integer("hidden_size"), config.integer("mamba_num_heads")
    inner = heads * config.integer("mamba_head_dim")
    channels = inner + 2 * config.integer("n_groups") * config.integer("ssm_state_size")
    inputs = hidden * (inner + channels + heads)
    window = channels * config.integer("conv_kernel") + channels
    return inputs + window + 3 * heads + inner + inner * hidden


def _feed_forward(config: ModelConfig, family: Family) -> tuple[int, int, int, int]:
    """MLPs over all layers: (dense, routed experts, shared experts, routers)."""
    dense_layers, expert_layers = _split_layers(config)
    hidden, model_type = config.integer("hidden_size"), config.text("model_type")
    dense = experts = shared = router = 0
    if dense_layers:
        width = config.integer("intermediate_size_mlp", _mlp_width(config))
        dense = dense_layers * _mlp(hidden, width, family)
    if expert_layers:
        number, width = config.integer("num_experts"), expert_width(config)
        expert = _mlp(hidden, width, family)
        if model_type == "gpt_oss":
            expert += 2 * width + hidden  # biases of both projections
        experts = expert_layers * number * expert
        shared = expert_layers * _mlp(hidden, _shared_width(config), family)
        router = expert_layers * (hidden * number + number * family.router_bias)
        if config.has("shared_expert_intermediate_size") and _shared_width(config):
            router += expert_layers * hidden  # the gate of the shared expert
        if model_type.startswith("gemma4"):
            # Three more norms, the router's own scale, one scale an expert and one a layer.
            router += expert_layers * (4 * hidden + number + 1)
    return dense, experts, shared, router


def feed_forward_width(config: ModelConfig) -> int:
    """The widest inner layer one token passes through: a dense MLP's or its experts' together."""
    dense_layers, expert_layers = _split_layers(config)
    dense = config.integer("intermediate_size_mlp", _mlp_width(config)) if dense_layers else 0
    if not expert_layers:
        return dense
    routed = config.integer("num_experts_per_tok") * expert_width(config)
    return max(dense, routed + _shared_width(config))


def _mlp_width(config: ModelConfig) -> int:
    if config.text("model_type") == "phi-msft":  # n_inner null means 4 x n_embd
        return config.integer("intermediate_size", 4 * config.integer("hidden_size"))
    return config.integer("intermediate_size")


def _mlp(hidden: int, width: int, family: Family) -> int:
    if not width:
        return 0
    if family.gated_mlp:
        return 3 * hidden * width
    return 2 * hidden * width + (hidden + width) * family.mlp_bias


def expert_width(config: ModelConfig) -> int:
    """Inner width of one routed expert."""
    if config.has("moe_intermediate_size"):
        return config.integer("moe_intermediate_size")
    return _mlp_width(config)


def _shared_width(config: ModelConfig) -> int:
    """Inner width of the shared experts taken together; 0 where there are none."""
    if config.has("shared_expert_intermediate_size"):
        return config.integer("shared_expert_intermediate_size", minimum=0)
    if config.has("moe_shared_expert_intermediate_size"):
        return config.integer("moe_shared_expert_intermediate_size")
    if config.has("n_shared_experts"):
        return config.integer("n_shared_experts", minimum=0) * expert_width(config)
    if config.text("model_type").startswith("llama4"):
        return config.integer("intermediate_size")
    return 0


def _split_layers(config: ModelConfig) -> tuple[int, int]:
    """(layers with a dense MLP, layers with experts)."""
    layers = config.integer("num_hidden_layers")
    pattern = config.get("hybrid_override_pattern")
    if pattern is not None:
        return pattern.count("-"), pattern.count("E")
    if not config.has("num_experts"):
        return layers, 0
    if config.text("model_type").startswith("gemma4"):
        return layers, layers  # each layer has both
    if config.has("interleave_moe_layer_step"):
        expert_layers = layers // config.integer("interleave_moe_layer_step")
    elif config.has("first_k_dense_replace"):
        start = config.integer("first_k_dense_replace", minimum=0)
        step = config.integer("moe_layer_freq", 1)
        expert_layers = sum(i >= start and i % step == 0 for i in range(layers))
    else:
        step = config.integer("decoder_sparse_step", 1)
        dense_only = set(config.get("mlp_only_layers") or ())
        expert_layers = sum((i + 1) % step == 0 and i not in dense_only for i in range(layers))
    return layers - expert_layers, expert_layers
