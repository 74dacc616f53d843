"""A GGUF file's header → a config and tensors by the names the rest of the house knows.

Names of metadata and tensors are llama.cpp's (gguf-py constants.py); those on the right are
transformers'.
"""

import re
from collections.abc import Mapping
from typing import Any

from skyserve_llm.errors import InputError
from skyserve_llm.sources.hub.gguf import Header
from skyserve_llm.sources.model.tensors import Tensor

_ARCHITECTURES = {
    "command-r": ("cohere", "CohereForCausalLM"),
    "gemma": ("gemma", "GemmaForCausalLM"),
    "gemma2": ("gemma2", "Gemma2ForCausalLM"),
    "gemma3": ("gemma3_text", "Gemma3ForCausalLM"),
    "granite": ("granite", "GraniteForCausalLM"),
    "llama": ("llama", "LlamaForCausalLM"),
    "olmo2": ("olmo2", "Olmo2ForCausalLM"),
    "phi3": ("phi3", "Phi3ForCausalLM"),
    "qwen2": ("qwen2", "Qwen2ForCausalLM"),
    "qwen2moe": ("qwen2_moe", "Qwen2MoeForCausalLM"),
    "qwen3": ("qwen3", "Qwen3ForCausalLM"),
    "qwen3moe": ("qwen3_moe", "Qwen3MoeForCausalLM"),
    "starcoder2": ("starcoder2", "Starcoder2ForCausalLM"),
}

_FIELDS = {
    "block_count": "num_hidden_layers",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.sliding_window": "sliding_window",
    "vocab_size": "vocab_size",
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
}

_MODULES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.experts.gate_proj",
    "ffn_up_exps": "mlp.experts.up_proj",
    "ffn_down_exps": "mlp.experts.down_proj",
    "ffn_gate_inp_shexp": "mlp.shared_expert_gate",
    "ffn_gate_shexp": "mlp.shared_expert.gate_proj",
    "ffn_up_shexp": "mlp.shared_expert.up_proj",
    "ffn_down_shexp": "mlp.shared_expert.down_proj",
    "token_embd": "embed_tokens",
    "output_norm": "norm",
}

_KIND = re.compile(
    r"(?<![A-Za-z0-9])(I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|BF16|F16|F32|MXFP4)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_PART = re.compile(r"-\d{5}-of-\d{5}$")


def gguf_files(name: str, files: list[str], kind: str | None) -> list[str]:
    """The files of one kind of quantization (``Q4_K_M``), in their order.

    Raises:
        InputError: none is of that kind, or there are several kinds and none was named.
    """
    kinds: dict[str, list[str]] = {}
    for file in sorted(files):
        stem = _PART.sub("", file.removesuffix(".gguf"))
        if file.endswith(".gguf") and "mmproj" not in stem:
            found = _KIND.findall(stem)
            kinds.setdefault(found[-1].upper() if found else stem, []).append(file)
    wanted = kind.upper() if kind else next(iter(kinds), "")
    if wanted not in kinds or (kind is None and len(kinds) > 1):
        raise InputError(
            f"{name} has no GGUF file of kind {kind}" if kind else f"{name} has several GGUF files",
            hint=f"name one of them: {name}:{next(iter(kinds), 'Q4_K_M')} "
            f"({', '.join(kinds) or 'it has none'})",
        )
    return kinds[wanted]


def gguf_config(name: str, header: Header) -> dict[str, Any]:
    """The config that the metadata amount to.

    Raises:
        InputError: an architecture that we do not know by llama.cpp's name.
    """
    metadata = header.metadata
    own = metadata.get("general.architecture")
    if own not in _ARCHITECTURES:
        raise InputError(
            f"{name}: field 'general.architecture' is {own!r}, which we do not know",
            hint="plan the model it was made from",
        )
    model_type, architecture = _ARCHITECTURES[own]
    fields = {ours: metadata.get(f"{own}.{theirs}") for theirs, ours in _FIELDS.items()}
    fields["vocab_size"] = fields["vocab_size"] or _vocabulary(metadata)
    tied = not any(tensor.name == "output.weight" for tensor in header.tensors)
    return {
        "architectures": [architecture],
        "model_type": model_type,
        "torch_dtype": "float16",
        "tie_word_embeddings": tied,
        "quantization_config": {"quant_method": "gguf", "bits": _bits(header)},
        **{field: value for field, value in fields.items() if value},
    }


def gguf_tensors(header: Header) -> list[Tensor]:
    """The tensors under the names that transformers gives them, but for what it computes."""
    return [
        tensor._replace(name=_renamed(tensor.name))
        for tensor in header.tensors
        if not tensor.name.startswith("rope_")
    ]


def _renamed(name: str) -> str:
    if name == "output.weight":
        return "lm_head.weight"
    layer = re.match(r"blk\.(\d+)\.", name)
    module, _, kind = name[layer.end() if layer else 0 :].rpartition(".")
    prefix = f"model.layers.{layer[1]}." if layer else "model."
    return f"{prefix}{_MODULES.get(module, module)}.{kind}"


def _vocabulary(metadata: Mapping[str, Any]) -> int | None:
    tokens = metadata.get("tokenizer.ggml.tokens")
    return len(tokens) if isinstance(tokens, list) else tokens


def _bits(header: Header) -> int:
    """The width that most weights are stored in, as the name of their type tells it."""
    sizes: dict[str, int] = {}
    for tensor in header.tensors:
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.size_bytes
    found = re.search(r"\d+", max(sizes, key=lambda dtype: sizes[dtype]))
    return min(int(found[0]), 16) if found else 16
