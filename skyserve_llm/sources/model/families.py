"""The families of models whose weights we can count: what each adds to a plain transformer.

Every entry follows the family's module in transformers 5.19 (models/<name>/modeling_<name>.py)
and is held to it, to the weight, by the tests. A family that is not here can be planned only where
its checkpoint tells its own size.
"""

from typing import Literal, NamedTuple

from skyserve_llm.sources.model.config import Flag


class Family(NamedTuple):
    """What a family adds to the plain pre-norm transformer with a gated MLP.

    ``norms`` are those of hidden width in a layer; ``qk_norm`` normalizes queries and keys a head
    at a time (``head``) or with a weight for each of their values (``all_heads``), where ``if``;
    ``positions`` learned position embeddings beyond the context (None: none are learned);
    ``width`` is the MLP's inner width as a multiple of the hidden one where none is stated;
    ``recurrence`` what the config's ``mamba`` or ``linear_attention`` layers are.
    """

    qkv_bias: Flag = False
    output_bias: Flag = False
    mlp_bias: Flag = False
    gated_mlp: bool = True
    norms: int = 2
    norm_bias: bool = False
    final_norm: bool = True
    embedding_norm: bool = False
    qk_norm: Literal["", "head", "all_heads"] = ""
    qk_norm_if: Flag = True
    qk_norm_bias: bool = False
    gated_attention: bool = False
    head_bias: Flag = False
    router_bias: Flag = False
    positions: int | None = None
    width: int = 0
    tied: bool = False
    recurrence: Literal["", "delta", "mamba", "mamba2"] = ""


_BIASED = ("attention_bias", False)
_MLP_BIASED = ("mlp_bias", False)

_LLAMA = Family(qkv_bias=_BIASED, output_bias=_BIASED, mlp_bias=_MLP_BIASED)
_GLM = Family(qkv_bias=_BIASED)
_QWEN3 = Family(qkv_bias=_BIASED, output_bias=_BIASED, qk_norm="head")
_QWEN_HYBRID = _QWEN3._replace(gated_attention=True, recurrence="delta")
_GEMMA3 = Family(qkv_bias=_BIASED, output_bias=_BIASED, norms=4, qk_norm="head", tied=True)
_DEEPSEEK_V3 = Family(router_bias=True)
_OLMO2 = Family(qkv_bias=_BIASED, output_bias=_BIASED, qk_norm="all_heads")
_ERNIE = Family(
    qkv_bias=("use_bias", False), output_bias=("use_bias", False), mlp_bias=("use_bias", False),
    tied=True,
)  # fmt: skip
_HUNYUAN = Family(
    qkv_bias=_BIASED, output_bias=_BIASED, qk_norm="head", qk_norm_if=("use_qk_norm", True)
)
_BIASES_EVERYWHERE = Family(
    qkv_bias=True, output_bias=True, mlp_bias=True, gated_mlp=False, norm_bias=True
)
_PHI = _BIASES_EVERYWHERE._replace(
    norms=1, head_bias=True, qk_norm="head", qk_norm_if=("qk_layernorm", False), qk_norm_bias=True
)
_GPT2 = _BIASES_EVERYWHERE._replace(positions=0, width=4, tied=True)

FAMILIES = {
    "apertus": _LLAMA._replace(gated_mlp=False, qk_norm="head"),
    "arcee": _LLAMA._replace(gated_mlp=False),
    "bamba": _LLAMA._replace(recurrence="mamba2"),
    "bloom": _BIASES_EVERYWHERE._replace(embedding_norm=True, width=4, tied=True),
    "chatglm": Family(qkv_bias=("add_qkv_bias", False)),
    "cohere": Family(
        qkv_bias=_BIASED, output_bias=_BIASED, norms=1, tied=True, qk_norm="all_heads",
        qk_norm_if=("use_qk_norm", False),
    ),
    "cohere2": Family(qkv_bias=_BIASED, output_bias=_BIASED, norms=1, tied=True),
    "cwm": Family(mlp_bias=_MLP_BIASED),
    "dbrx": Family(),
    "deepseek_v2": Family(),
    "deepseek_v3": _DEEPSEEK_V3,
    "deepseek_v32": _DEEPSEEK_V3,
    "ernie4_5": _ERNIE,
    "ernie4_5_moe": _ERNIE._replace(router_bias=True),
    "exaone4": Family(qk_norm="head"),
    "exaone_moe": Family(qk_norm="head", router_bias=True),
    "falcon": Family(
        qkv_bias=("bias", False), output_bias=("bias", False), mlp_bias=("bias", False),
        gated_mlp=False, norm_bias=True, width=4, tied=True,
    ),
    "falcon_h1": _LLAMA._replace(recurrence="mamba2"),
    "flex_olmo": _OLMO2,
    "gemma": Family(qkv_bias=_BIASED, output_bias=_BIASED, tied=True),
    "gemma2": Family(qkv_bias=_BIASED, output_bias=_BIASED, norms=4, tied=True),
    "gemma3": _GEMMA3,
    "gemma3_text": _GEMMA3,
    "gemma4": _GEMMA3,
    "gemma4_text": _GEMMA3,
    "glm": _GLM,
    "glm4": _GLM._replace(norms=4),
    "glm4_moe": _GLM._replace(
        qk_norm="head", qk_norm_if=("use_qk_norm", False), router_bias=True
    ),
    "glm4_moe_lite": _DEEPSEEK_V3,
    "glm_moe_dsa": _DEEPSEEK_V3,
    "gpt2": _GPT2,
    "gpt_bigcode": _GPT2,
    "gpt_neox": _BIASES_EVERYWHERE._replace(
        qkv_bias=("attention_bias", True), output_bias=("attention_bias", True)
    ),
    "gpt_oss": Family(qkv_bias=_BIASED, output_bias=_BIASED, router_bias=True),
    "gptj": Family(
        mlp_bias=True, gated_mlp=False, norms=1, norm_bias=True, head_bias=True, width=4
    ),
    "granite": _LLAMA,
    "granitemoe": _LLAMA,
    "granitemoehybrid": _LLAMA._replace(recurrence="mamba2"),
    "granitemoeshared": _LLAMA,
    "hunyuan_v1_dense": _HUNYUAN,
    "hunyuan_v1_moe": _HUNYUAN,
    "internlm2": Family(),
    "jais2": _BIASES_EVERYWHERE,
    "jamba": Family(recurrence="mamba"),
    "kimi_k2": _DEEPSEEK_V3,
    "kimi_k25": _DEEPSEEK_V3,
    "lfm2": Family(qk_norm="head", tied=True),
    "lfm2_moe": Family(qk_norm="head", tied=True, router_bias=("use_expert_bias", True)),
    "llama": _LLAMA,
    "llama4": _LLAMA,
    "llama4_text": _LLAMA,
    "mimo": Family(qkv_bias=_BIASED),
    "minicpm3": Family(tied=True),
    "minimax_m2": Family(
        qk_norm="all_heads", qk_norm_if=("use_qk_norm", True), router_bias=True
    ),
    "ministral3": Family(),
    "mistral": Family(),
    "mixtral": Family(),
    "mpt": Family(gated_mlp=False, width=4, tied=True),
    "nemotron": _LLAMA._replace(gated_mlp=False, norm_bias=True),
    "nemotron-nas": Family(),
    "nemotron_h": Family(gated_mlp=False, norms=1, router_bias=True, recurrence="mamba2"),
    "olmo": Family(qkv_bias=_BIASED, output_bias=_BIASED, norms=0, final_norm=False),
    "olmo2": _OLMO2,
    "olmo3": _OLMO2,
    "olmoe": _OLMO2,
    "opt": _BIASES_EVERYWHERE._replace(positions=2, tied=True),
    "phi": _PHI,
    "phi-msft": _PHI._replace(width=4),
    "phi3": Family(),
    "phimoe": Family(
        qkv_bias=_BIASED, output_bias=_BIASED, norm_bias=True, head_bias=("lm_head_bias", False)
    ),
    "qwen2": Family(qkv_bias=True),
    "qwen2_5_vl": Family(qkv_bias=True),
    "qwen2_5_vl_text": Family(qkv_bias=True),
    "qwen2_moe": Family(qkv_bias=("qkv_bias", True)),
    "qwen2_vl": Family(qkv_bias=True),
    "qwen2_vl_text": Family(qkv_bias=True),
    "qwen3": _QWEN3,
    "qwen3_5": _QWEN_HYBRID,
    "qwen3_5_moe": _QWEN_HYBRID,
    "qwen3_5_moe_text": _QWEN_HYBRID,
    "qwen3_5_text": _QWEN_HYBRID,
    "qwen3_moe": _QWEN3,
    "qwen3_next": _QWEN_HYBRID,
    "qwen3_vl_moe_text": _QWEN3,
    "qwen3_vl_text": _QWEN3,
    "seed_oss": Family(
        qkv_bias=("attention_bias", True), output_bias=("attention_out_bias", False),
        mlp_bias=_MLP_BIASED,
    ),
    "smollm3": _LLAMA._replace(tied=True),
    "stablelm": Family(
        qkv_bias=("use_qkv_bias", False), norm_bias=True, qk_norm="all_heads",
        qk_norm_if=("qk_layernorm", False),
    ),
    "starcoder2": _BIASES_EVERYWHERE._replace(
        qkv_bias=("use_bias", True), output_bias=("use_bias", True), mlp_bias=("use_bias", True),
        tied=True,
    ),
    "vaultgemma": Family(qkv_bias=_BIASED, output_bias=_BIASED, tied=True),
}  # fmt: skip
