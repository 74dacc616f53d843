"""A config that cannot be true is refused by the name of its field, whatever it holds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.errors import InputError
from skyserve_llm.sources.model.config import ModelConfig, complete
from skyserve_llm.sources.model.context import context_length, default_context_length
from skyserve_llm.sources.model.layers import kv_heads, layers
from skyserve_llm.sources.model.quantization import quantization
from skyserve_llm.sources.model.spec import model_spec
from skyserve_llm.types import ModelSpec, Quantization
from tests.sources.hub.models import LLAMA
from tests.sources.model.checkpoints import CHECKPOINTS

OPTIONAL = {"num_key_value_heads", "tie_word_embeddings"}
SIZES = [
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "vocab_size", "max_position_embeddings",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def spec(config: dict[str, Any]) -> ModelSpec:
    return model_spec(config, model_id="m", source="test")


def of(**changes: Any) -> ModelConfig:
    return ModelConfig({**LLAMA, **changes}, origin="m")


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize("field", sorted(set(LLAMA) - OPTIONAL))
def test_a_missing_field_is_named(field: str) -> None:
    config = {key: value for key, value in LLAMA.items() if key != field}
    with pytest.raises(InputError, match=f"'{field}' is missing"):
        spec(config)


@given(
    field=st.sampled_from(SIZES),
    value=st.one_of(
        st.integers(max_value=0), st.integers(min_value=1 << 31), st.floats(), st.text(),
        st.booleans(), st.lists(st.integers(), min_size=1),
        st.dictionaries(st.text(), st.none(), min_size=1),
    ),
)  # fmt: skip
def test_an_impossible_size_names_its_field(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"field '{field}'"):
        spec({**LLAMA, field: value})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"torch_dtype": "int3"}, "torch_dtype"),
        ({"num_hidden_layers": 1 << 30}, "num_hidden_layers"),
        ({"model_type": "nonesuch"}, "model_type"),
        ({"text_config": [1]}, "text_config"),
        ({"vision_config": [1]}, "vision_config"),
        ({"layer_types": ["full_attention"]}, "layer_types"),
        ({"layer_types": ["full_attention", "magic"]}, "layer_types"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"architectures": []}, "architectures"),
        ({"auto_map": "modeling.py"}, "auto_map"),
        ({"attention_bias": 1}, "attention_bias"),
        ({"rope_scaling": "linear"}, "rope_scaling"),
        ({"rope_scaling": {"type": "linear", "factor": -2}}, "rope_scaling.factor"),
        ({"compress_ratios": [1, 2]}, "compress_ratios"),
        ({"quantization_config": {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION",
          "quantized_layers": {"a": {"quant_algo": "FP8"}}}}, "quant_algo"),
        ({"hidden_size": 66}, "hidden_size"),
        ({"block_configs": [{}]}, "block_configs"),
        ({"block_configs": [{}, {}]}, r"block_configs\[0\]"),
        ({"per_layer_config": {"0": 3}}, "per_layer_config"),
        ({"vision_config": {"model_type": "pixtral"}, "model_type": "mistral3",
          "text_config": LLAMA}, "vision_config: field 'hidden_size'"),
    ],
)  # fmt: skip
def test_what_would_change_the_bill_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        spec({**LLAMA, **change})


@given(data=st.data())
def test_no_config_breaks_the_reader(data: st.DataObject) -> None:
    """Any value in any field of any family: a spec, or one line that says what is wrong."""
    config = dict(data.draw(st.sampled_from(CHECKPOINTS)).config)
    field = data.draw(st.sampled_from(sorted(config)))
    config[field] = data.draw(JSON)
    try:
        found = spec(config)
    except InputError as error:
        assert "\n" not in error.message
        assert error.message.startswith("m")
    else:
        assert found.parameters.total > 0
        assert min(found.parameters) >= 0
        assert all(group.layers > 0 for group in found.attention)


# --- where fields lie ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "old",
    [
        {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_inner": 128, "n_positions": 4096},
        {"d_model": 64, "n_layers": 2, "n_heads": 4, "ffn_dim": 128, "max_seq_len": 4096},
        {"d_model": 64, "num_layers": 2, "n_heads": 4, "ffn_hidden_size": 128, "seq_length": 4096},
    ],
)
def test_old_names_are_the_same_fields(old: dict[str, int]) -> None:
    plain = {k: v for k, v in LLAMA.items() if k not in SIZES or k == "vocab_size"}
    renamed = {**plain, **old, "num_kv_heads": 2}
    assert spec(renamed) == spec(LLAMA)


@pytest.mark.parametrize("where", ["text_config", "llm_config", "language_config"])
def test_a_nested_language_model_is_found(where: str) -> None:
    outer = {"architectures": ["XForConditionalGeneration"], "model_type": "x", where: LLAMA}
    found = spec(outer)
    assert found.parameters == spec(LLAMA).parameters
    assert (found.architecture, found.model_type) == ("XForConditionalGeneration", "x")


def test_the_whole_models_word_on_ties_comes_first() -> None:
    outer = {"architectures": ["X"], "model_type": "x", "text_config": LLAMA}
    assert spec({**outer, "tie_word_embeddings": True}).parameters.lm_head == 0
    assert spec(outer).parameters.lm_head == 6400


def test_defaults_fill_nested_configs_only() -> None:
    known = {"x_text": {"hidden_size": 7}, "y/vision_config": {"depth": 3}}
    raw = {"model_type": "y", "text_config": {"model_type": "x_text"}, "vision_config": {}}
    assert complete(raw, lambda kind: known.get(kind, {})) == {
        "model_type": "y",
        "text_config": {"hidden_size": 7, "model_type": "x_text"},
        "vision_config": {"depth": 3},
    }
    assert complete({"model_type": "x_text"}, lambda kind: known[kind]) == {"model_type": "x_text"}


def test_one_number_a_layer_is_that_number_where_all_agree() -> None:
    assert of(num_experts_per_tok=[8, 8]).integer("num_experts_per_tok") == 8
    with pytest.raises(InputError, match="num_experts_per_tok"):
        of(num_experts_per_tok=[8, 4]).integer("num_experts_per_tok")


# --- how long, how many heads, which layers ------------------------------------------------


@pytest.mark.parametrize(
    ("change", "length"),
    [
        ({}, 4096),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 16384),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2}}, 8192),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 4096),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 40}}, 4096),
        ({"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2.0}}}, 8192),
        ({"seq_length": 1024}, 1024),
        ({"model_max_length": 32768}, 32768),
    ],
)
def test_the_context_is_what_vllm_derives(change: dict[str, Any], length: int) -> None:
    assert context_length(of(**change)) == length


def test_longrope_models_stay_within_their_first_context_unless_told() -> None:
    config = of(
        max_position_embeddings=131072, original_max_position_embeddings=4096,
        rope_scaling={"type": "longrope", "short_factor": [1.0]},
    )  # fmt: skip
    assert (context_length(config), default_context_length(config)) == (131072, 4096)
    assert default_context_length(of()) == 4096


def test_a_family_without_an_end_gets_what_vllm_assumes() -> None:
    bloom = next(saved.config for saved in CHECKPOINTS if saved.config["model_type"] == "bloom")
    assert context_length(ModelConfig(bloom, origin="m")) == 2048


@pytest.mark.parametrize(
    ("change", "heads"),
    [
        ({}, 2),
        ({"num_key_value_heads": None}, 4),
        ({"model_type": "falcon"}, 1),
        ({"model_type": "falcon", "multi_query": False}, 4),
        ({"model_type": "falcon", "new_decoder_architecture": True}, 2),
        ({"model_type": "gpt_bigcode"}, 1),
    ],
)
def test_kv_heads(change: dict[str, Any], heads: int) -> None:
    assert kv_heads(of(**change)) == heads


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({}, "ffff"),
        ({"sliding_window": 64}, "ffff"),
        ({"sliding_window": 64, "model_type": "mistral"}, "ssss"),
        ({"sliding_window": 8192, "model_type": "mistral"}, "ffff"),
        ({"sliding_window": 64, "model_type": "gemma2"}, "sfsf"),
        ({"sliding_window": 64, "sliding_window_pattern": 4}, "sssf"),
        ({"sliding_window": 64, "sliding_window_pattern": "LG"}, "sfsf"),
        ({"sliding_window": 64, "max_window_layers": 3}, "fffs"),
        ({"sliding_window": 64, "use_sliding_window": False, "model_type": "mistral"}, "ffff"),
        ({"full_attention_interval": 4}, "dddf"),
        ({"attention_chunk_size": 64}, "cccf"),
        ({"attn_layer_period": 4, "attn_layer_offset": 1}, "mfmm"),
        ({"attn_layer_indices": [2]}, "mmfm"),
        ({"full_attn_idxs": [0, 1]}, "ffcc"),
        ({"layer_types": ["conv", "attention", "mlp", "moe"]}, "cfnn"),
        ({"layer_types": ["mamba", "linear_attention", "attention", "mlp"],
          "model_type": "nemotron_h"}, "mmfn"),
        ({"hybrid_override_pattern": "M*-E", "model_type": "nemotron_h"}, "mfnn"),
        ({"model_type": "falcon_h1"}, "aaaa"),
    ],
)  # fmt: skip
def test_which_layer_is_what(change: dict[str, Any], kinds: str) -> None:
    found = layers(of(num_hidden_layers=4, **change))
    assert "".join(layer.kind[0] for layer in found) == kinds


def test_single_layers_may_differ() -> None:
    config = of(per_layer_config={"1": {"head_dim": 32, "num_key_value_heads": 1}})
    assert [(layer.kv_heads, layer.head_dim) for layer in layers(config)] == [(2, 16), (1, 32)]


# --- how weights are stored ----------------------------------------------------------------

INT4 = {"weights": {"num_bits": 4, "group_size": 32}}


@pytest.mark.parametrize(
    ("raw", "method", "bits", "group"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "awq", 4, 128),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, "awq", 4, 64),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, "gptq", 8, None),
        ({"quant_method": "auto-round", "bits": 4}, "auto-round", 4, 128),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes", 4, 64),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes", 8, None),
        ({"quant_method": "fp8"}, "fp8", 8, None),
        ({"quant_method": "fbgemm_fp8"}, "fbgemm_fp8", 8, None),
        ({"quant_method": "mxfp4"}, "mxfp4", 4, 32),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "modelopt_fp4", 4, 16),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "modelopt", 8, None),
        ({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4"}},
         "modelopt_fp4", 4, 16),
        ({"quant_method": "compressed-tensors", "config_groups": {"g": INT4}},
         "compressed-tensors", 4, 32),
        ({"quant_method": "compressed_tensors", "config_groups": {"g": INT4}},
         "compressed-tensors", 4, 32),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {
            "a": {"quant_algo": "FP8"}, "b": {"quant_algo": "W4A16_NVFP4", "group_size": 16}}},
         "modelopt_mixed", 4, 16),
    ],
)  # fmt: skip
def test_methods_by_vllms_names(
    raw: dict[str, Any], method: str, bits: int, group: int | None
) -> None:
    found = quantization(of(quantization_config=raw))
    assert found is not None
    assert (found.method, found.bits, found.group_size) == (method, bits, group)


def test_compressed_tensors_stands_under_its_older_name_too() -> None:
    raw = {"quant_method": "compressed-tensors", "config_groups": {"g": INT4}}
    assert quantization(of(compression_config=raw)) == quantization(of(quantization_config=raw))
    assert quantization(of()) is None


def test_experts_only_where_attention_is_left_out() -> None:
    raw = {
        "quant_method": "compressed-tensors", "config_groups": {"g": INT4},
        "ignore": ["lm_head", "re:.*self_attn.*"],
    }  # fmt: skip
    assert quantization(of(quantization_config=raw)) == Quantization(
        method="compressed-tensors", bits=4, group_size=32, experts_only=True
    )


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ("awq", "quantization_config"),
        ({}, "quant_method"),
        ({"quant_method": "magic"}, "quant_method"),
        ({"quant_method": ["awq"]}, "quant_method"),
        ({"quant_method": "awq"}, "bits"),
        ({"quant_method": "awq", "bits": 99}, "bits"),
        ({"quant_method": "awq", "bits": True}, "bits"),
        ({"quant_method": "awq", "bits": 4, "group_size": 0}, "group_size"),
        ({"quant_method": "awq", "bits": 4, "group_size": "all"}, "group_size"),
        ({"quant_method": "modelopt", "quant_algo": "INT1"}, "quant_algo"),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}, "quantized_layers"),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": {}},
         "quantized_layers"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": "yes"}, "load_in_4bit"),
        ({"quant_method": "compressed-tensors", "config_groups": {}}, "config_groups"),
        ({"quant_method": "compressed-tensors", "config_groups": {"g": 1}}, "config_groups"),
        ({"quant_method": "compressed-tensors", "config_groups": {"g": INT4}, "ignore": 3},
         "ignore"),
        # what mlx writes, which no server of ours loads
        ({"group_size": 64, "bits": 4, "mode": "affine"}, "quant_method"),
    ],
)  # fmt: skip
def test_a_quantization_that_cannot_be_is_refused_by_name(raw: object, named: str) -> None:
    with pytest.raises(InputError, match=named):
        quantization(of(quantization_config=raw))


@given(raw=st.dictionaries(
    st.sampled_from(["quant_method", "bits", "group_size", "config_groups", "ignore",
                     "quant_algo", "producer", "quantization", "load_in_4bit",
                     "weight_block_size"]),
    JSON | st.sampled_from(["awq", "fp8", "modelopt", "compressed-tensors", "bitsandbytes"]),
))  # fmt: skip
def test_no_quantization_breaks_the_reader(raw: dict[str, Any]) -> None:
    json.dumps(raw)
    try:
        found = quantization(of(quantization_config=raw))
    except InputError as error:
        assert "\n" not in error.message
    else:
        assert found is None or 1 <= found.bits <= 16
