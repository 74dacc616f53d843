"""A model's name to its facts: bundled ids, folders, and everything that can be wrong with one."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.errors import InputError
from skyserve_llm.sources.hub import bundled_models, load_model
from skyserve_llm.sources.model.spec import model_spec

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 512,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
}


def folder(path: Path, config: object) -> str:
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return str(path)


def test_a_bundled_model_is_found_by_id_alias_and_any_case() -> None:
    assert load_model("mlabonne/phixtral-4x2_8").num_experts == 4
    assert load_model("MLABONNE/PHIXTRAL-4X2_8").id == "mlabonne/phixtral-4x2_8"
    alias = load_model("mistralai/Mixtral-8x7B-Instruct-v0.1")
    assert alias.id == "mistralai/Mixtral-8x7B-Instruct-v0.1"
    assert alias.parameters == load_model("mistralai/Mixtral-8x7B-v0.1").parameters


def test_every_bundled_model_says_where_its_facts_are_from() -> None:
    for model in bundled_models():
        assert model.source.startswith("bundled: ")
        assert len(model.source) > len("bundled: ")


def test_bundled_names_are_unique() -> None:
    ids = [model.id.lower() for model in bundled_models()]
    assert len(ids) == len(set(ids))


def test_a_folder_is_read(tmp_path: Path) -> None:
    model = load_model(folder(tmp_path, LLAMA))
    # embedding + head, q + o, k + v, gate + up + down, norms
    assert (
        model.parameters.total == 2 * 6400 + 2 * (2 * 4096 + 2 * 64 * 32 + 3 * 64 * 128 + 128) + 64
    )
    assert model.source == f"folder: {tmp_path / 'config.json'}"


def test_a_nested_text_config_is_the_model(tmp_path: Path) -> None:
    outer = {"architectures": ["LlamaForCausalLM"], "model_type": "llava", "text_config": LLAMA}
    assert (
        load_model(folder(tmp_path, outer)).parameters
        == load_model(folder(tmp_path, LLAMA)).parameters
    )


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown model 'mlabonne/phixtral-4x2'") as caught:
        load_model("mlabonne/phixtral-4x2")
    assert "mlabonne/phixtral-4x2_8" in (caught.value.hint or "")


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json in"):
        load_model(str(tmp_path))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '"text"', "{}", "[" * 100_000, '{"architectures": 3}']
)
def test_a_damaged_config_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_model(str(tmp_path))
    assert "\n" not in caught.value.message


def test_a_binary_config_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"\xff\xfe\x00garbage")
    with pytest.raises(InputError, match="cannot read"):
        load_model(str(tmp_path))


@pytest.mark.parametrize(
    "field", [key for key in LLAMA if key not in ("num_key_value_heads", "tie_word_embeddings")]
)
def test_a_missing_field_is_named(field: str) -> None:
    config = {key: value for key, value in LLAMA.items() if key != field}
    with pytest.raises(InputError, match=f"'{field}' is missing"):
        model_spec(config, model_id="m", source="test")


@given(
    field=st.sampled_from(
        ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
         "num_key_value_heads", "vocab_size", "max_position_embeddings"]
    ),
    value=st.one_of(
        st.integers(max_value=0), st.integers(min_value=1 << 31), st.floats(), st.text(),
        st.booleans(), st.lists(st.integers(), min_size=1),
        st.dictionaries(st.text(), st.none(), min_size=1),
    ),
)  # fmt: skip
def test_an_impossible_value_names_its_field(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"field '{field}'"):
        model_spec({**LLAMA, field: value}, model_id="m", source="test")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"torch_dtype": "int3"}, "torch_dtype"),
        ({"model_type": "nonesuch"}, "model_type"),
        ({"quantization_config": {"quant_method": "magic"}}, "quant_method"),
        ({"quantization_config": {"quant_method": "awq"}}, "bits"),
        ({"quantization_config": {"quant_method": "awq", "bits": 99}}, "bits"),
        ({"quantization_config": "awq"}, "quantization_config"),
        ({"text_config": [1]}, "text_config"),
        ({"layer_types": ["full_attention"]}, "layer_types"),
        ({"layer_types": ["full_attention", "magic"]}, "layer_types"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings"),
        ({"architectures": []}, "architectures"),
    ],
)
def test_what_would_change_the_bill_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        model_spec({**LLAMA, **change}, model_id="m", source="test")
