"""A tiny Llama, as its repository would hold it."""

from typing import Any

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 4096,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}

# embedding + head, q + o, k + v, gate + up + down, norms
LLAMA_WEIGHTS = 2 * 6400 + 2 * (2 * 4096 + 2 * 64 * 32 + 3 * 64 * 128 + 128) + 64


def llama_tensors(dtype: str = "BF16", layers: int = 2) -> dict[str, tuple[str, list[int]]]:
    shapes = {
        "model.embed_tokens.weight": [100, 64],
        "lm_head.weight": [100, 64],
        "model.norm.weight": [64],
    }
    for n in range(layers):
        layer = f"model.layers.{n}"
        shapes |= {
            f"{layer}.input_layernorm.weight": [64],
            f"{layer}.post_attention_layernorm.weight": [64],
            f"{layer}.self_attn.q_proj.weight": [64, 64],
            f"{layer}.self_attn.k_proj.weight": [32, 64],
            f"{layer}.self_attn.v_proj.weight": [32, 64],
            f"{layer}.self_attn.o_proj.weight": [64, 64],
            f"{layer}.mlp.gate_proj.weight": [128, 64],
            f"{layer}.mlp.up_proj.weight": [128, 64],
            f"{layer}.mlp.down_proj.weight": [64, 128],
        }
    return {name: (dtype, shape) for name, shape in shapes.items()}


def packed_llama_tensors(group: int = 32) -> dict[str, tuple[str, list[int]]]:
    """The same, its linear weights as AWQ packs them: eight 4-bit weights to an integer."""
    packed: dict[str, tuple[str, list[int]]] = {}
    for name, (dtype, shape) in llama_tensors("F16").items():
        module, _, _ = name.rpartition(".")
        if "_proj" not in name:
            packed[name] = (dtype, shape)
            continue
        rows, columns = shape[1], shape[0]
        packed[f"{module}.qweight"] = ("I32", [rows, columns // 8])
        packed[f"{module}.qzeros"] = ("I32", [rows // group, columns // 8])
        packed[f"{module}.scales"] = ("F16", [rows // group, columns])
    return packed
