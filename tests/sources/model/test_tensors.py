"""Checkpoints by name, type and shape: packed weights, what is not loaded, phixtral's own names."""

from math import prod
from typing import Any

import pytest

from skyserve_llm.sources.hub import load_model
from skyserve_llm.sources.model.tensors import Checkpoint, Tensor, count_checkpoint
from tests.sources.hub.models import LLAMA

BYTES = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4, "I64": 8, "U8": 1, "I8": 1, "F8_E4M3": 1,
         "F8_E8M0": 1}  # fmt: skip
MODULE = "model.layers.0.mlp.down_proj"
EXPERTS = "model.layers.0.mlp.experts.down_proj"


def counted(tensors: dict[str, tuple[str, tuple[int, ...]]], **changes: Any) -> Checkpoint:
    listed = [
        Tensor(name, dtype, shape, BYTES[dtype] * prod(shape))
        for name, (dtype, shape) in tensors.items()
    ]
    return count_checkpoint({**LLAMA, **changes}, listed, model_id="m", files=1)


FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
INT4 = {
    "quant_method": "compressed-tensors",
    "config_groups": {"g": {"weights": {"num_bits": 4, "group_size": 16}}},
}


@pytest.mark.parametrize(
    ("scheme", "tensors"),
    [
        # 4096 x 512 weights each
        ({"quant_method": "awq", "bits": 4},
         {"qweight": ("I32", (4096, 64)), "qzeros": ("I32", (32, 64)),
          "scales": ("F16", (32, 512))}),
        ({"quant_method": "gptq", "bits": 4},
         {"qweight": ("I32", (512, 512)), "qzeros": ("I32", (32, 64)), "scales": ("F16", (32, 512)),
          "g_idx": ("I32", (4096,))}),
        ({"quant_method": "gptq", "bits": 8}, {"qweight": ("I32", (1024, 512))}),
        (INT4, {"weight_packed": ("I32", (512, 512)), "weight_scale": ("BF16", (512, 32)),
                "weight_shape": ("I64", (2,)), "weight_zero_point": ("I32", (64, 32))}),
        (INT4, {"weight_packed": ("U8", (512, 2048)), "weight_scale": ("F8_E4M3", (512, 256)),
                "weight_global_scale": ("F32", (1,)), "input_global_scale": ("F32", (1,))}),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"},
         {"weight": ("U8", (512, 2048)), "weight_scale": ("F8_E4M3", (512, 256)),
          "weight_scale_2": ("F32", ()), "input_scale": ("F32", ())}),
        (FP8, {"weight": ("F8_E4M3", (512, 4096)), "weight_scale_inv": ("F32", (4, 32))}),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True},
         {"weight": ("U8", (1048576, 1)), "weight.absmax": ("U8", (32768,)),
          "weight.nested_absmax": ("F32", (128,)), "weight.quant_map": ("F32", (16,)),
          "weight.quant_state.bitsandbytes__nf4": ("U8", (80,))}),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True},
         {"weight": ("I8", (512, 4096)), "SCB": ("F32", (512,))}),
        (None, {"weight": ("F32", (512, 4096))}),
    ],
)  # fmt: skip
def test_packed_weights_are_unpacked_and_scales_are_none(
    scheme: dict[str, Any] | None, tensors: dict[str, tuple[str, tuple[int, ...]]]
) -> None:
    named = {f"{MODULE}.{name}": tensor for name, tensor in tensors.items()}
    found = counted(named, quantization_config=scheme)
    assert found.parameters.mlp == found.parameters.total == 4096 * 512
    assert found.size_bytes == sum(BYTES[dtype] * prod(shape) for dtype, shape in tensors.values())


def test_mxfp4_blocks_hold_two_weights_a_byte() -> None:
    found = counted(
        {
            f"{EXPERTS}_blocks": ("U8", (32, 2880, 90, 16)),
            f"{EXPERTS}_scales": ("U8", (32, 2880, 90)),
            f"{EXPERTS}_bias": ("BF16", (32, 2880)),
        },
        quantization_config={"quant_method": "mxfp4"},
    )
    assert found.parameters.experts == 32 * 2880 * 2880 + 32 * 2880
    assert found.dtypes == (("int4", 32 * 2880 * 2880), ("BF16", 32 * 2880))


def test_scales_that_are_weights_count_without_quantization() -> None:
    """Gemma 4's router has weights of that name."""
    name = "model.layers.0.router.per_expert_scale"
    assert counted({name: ("BF16", (128,))}).parameters.replicated == 128


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.2.self_attn.q_proj.weight",  # the config has two: multi-token prediction
        "model.layers.2.eh_proj.weight",
        "mtp.layers.0.mlp.gate_proj.weight",
        "model.mtp.fc.weight",
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "transformer.h.0.attn.bias",
        "transformer.h.0.attn.masked_bias",
        "gpt_neox.layers.0.attention.bias",
    ],
)
def test_what_is_not_loaded_takes_nothing(name: str) -> None:
    found = counted({name: ("BF16", (64, 64))})
    assert (found.parameters.total, found.size_bytes, found.modules) == (0, 0, ())


def test_a_tied_head_that_was_saved_counts_once() -> None:
    both = {
        "model.embed_tokens.weight": ("BF16", (100, 64)),
        "lm_head.weight": ("BF16", (100, 64)),
    }
    assert counted(both, tie_word_embeddings=True).parameters.total == 6400
    assert counted(both, tie_word_embeddings=False).parameters.total == 12800


def test_phixtrals_own_names_are_read() -> None:
    model = load_model("mlabonne/phixtral-4x2_8")
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {
        "transformer.embd.wte.weight": ("F16", (51200, 2560)),
        "lm_head.ln.weight": ("F16", (2560,)),
        "lm_head.ln.bias": ("F16", (2560,)),
        "lm_head.linear.weight": ("F16", (51200, 2560)),
        "lm_head.linear.bias": ("F16", (51200,)),
    }
    for n in range(32):
        layer = f"transformer.h.{n}"
        tensors |= {
            f"{layer}.ln.weight": ("F16", (2560,)),
            f"{layer}.ln.bias": ("F16", (2560,)),
            f"{layer}.mixer.Wqkv.weight": ("F16", (7680, 2560)),
            f"{layer}.mixer.Wqkv.bias": ("F16", (7680,)),
            f"{layer}.mixer.out_proj.weight": ("F16", (2560, 2560)),
            f"{layer}.mixer.out_proj.bias": ("F16", (2560,)),
            f"{layer}.moe.gate.weight": ("F16", (4, 2560)),
        }
        for expert in range(4):
            tensors |= {
                f"{layer}.moe.mlp.{expert}.fc1.weight": ("F16", (10240, 2560)),
                f"{layer}.moe.mlp.{expert}.fc1.bias": ("F16", (10240,)),
                f"{layer}.moe.mlp.{expert}.fc2.weight": ("F16", (2560, 10240)),
                f"{layer}.moe.mlp.{expert}.fc2.bias": ("F16", (2560,)),
            }
    found = counted(
        tensors, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32,
        hidden_size=2560,
    )  # fmt: skip
    assert found.parameters == model.parameters
    assert {"h.mixer", "h.moe", "h.ln"} == set(found.modules)
