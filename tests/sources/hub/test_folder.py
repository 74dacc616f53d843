"""A local folder: its config, the headers of its weights, and everything that can be damaged."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.errors import InputError
from skyserve_llm.sources.hub import load_model
from skyserve_llm.sources.hub.safetensors import read_header
from tests.sources.hub.models import LLAMA, LLAMA_WEIGHTS, llama_tensors, packed_llama_tensors
from tests.sources.hub.safetensors_files import safetensors


def folder(path: Path, config: object, **files: bytes) -> str:
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name, content in files.items():
        (path / f"{name}.safetensors").write_bytes(content)
    return str(path)


def test_a_config_alone_is_counted(tmp_path: Path) -> None:
    model = load_model(folder(tmp_path, LLAMA))
    assert model.parameters.total == LLAMA_WEIGHTS
    assert model.source == f"folder: {tmp_path}"
    assert model.checkpoint_bytes is None


def test_weights_beside_it_are_counted_by_their_headers(tmp_path: Path) -> None:
    model = load_model(folder(tmp_path, LLAMA, model=safetensors(llama_tensors("F32"))))
    assert model.parameters.total == LLAMA_WEIGHTS
    assert model.checkpoint_bytes == 4 * LLAMA_WEIGHTS
    assert "F32 in 1 weight file" in model.source


def test_a_family_we_cannot_count_is_planned_by_its_weights(tmp_path: Path) -> None:
    config = {**LLAMA, "model_type": "unheard-of"}
    with pytest.raises(InputError, match="'model_type' is 'unheard-of'"):
        load_model(folder(tmp_path, config))
    model = load_model(folder(tmp_path, config, model=safetensors(llama_tensors())))
    assert model.parameters.total == LLAMA_WEIGHTS


def test_an_unknown_familys_heads_must_show_in_its_weights(tmp_path: Path) -> None:
    config = {**LLAMA, "model_type": "unheard-of", "num_key_value_heads": 4}
    with pytest.raises(InputError, match="256 key and value channels, the checkpoint holds 128"):
        load_model(folder(tmp_path, config, model=safetensors(llama_tensors())))


def test_a_missing_dtype_is_the_weights_own(tmp_path: Path) -> None:
    config = {key: value for key, value in LLAMA.items() if key != "torch_dtype"}
    weights = safetensors(llama_tensors("F16"))
    assert load_model(folder(tmp_path, config, model=weights)).dtype == "float16"
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="'torch_dtype' is missing"):
        load_model(str(tmp_path))


@pytest.mark.parametrize(
    ("scheme", "packed"),
    [
        ({"quant_method": "awq", "bits": 4, "group_size": 32}, packed_llama_tensors()),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"g": {"weights": {"num_bits": 4, "group_size": 32}}},
            },
            {
                name.replace("qweight", "weight_packed")
                .replace("qzeros", "weight_zero_point")
                .replace("scales", "weight_scale"): tensor
                for name, tensor in packed_llama_tensors().items()
            },
        ),
    ],
)
def test_packed_weights_count_as_what_they_hold(
    tmp_path: Path, scheme: dict[str, Any], packed: dict[str, tuple[str, list[int]]]
) -> None:
    config = {**LLAMA, "quantization_config": scheme}
    model = load_model(folder(tmp_path, config, model=safetensors(packed)))
    assert model.parameters.total == LLAMA_WEIGHTS
    assert "73.7k int4" in model.source


def test_a_nested_text_config_is_the_model(tmp_path: Path) -> None:
    outer = {"architectures": ["LlamaForCausalLM"], "model_type": "llava", "text_config": LLAMA}
    nested, plain = tmp_path / "nested", tmp_path / "plain"
    nested.mkdir()
    plain.mkdir()
    assert (
        load_model(folder(nested, outer)).parameters == load_model(folder(plain, LLAMA)).parameters
    )


def test_what_a_nested_config_leaves_out_is_its_classs_default(tmp_path: Path) -> None:
    """google/gemma-3-4b-it states five fields of its language model; the rest are defaults."""
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240,
            "num_hidden_layers": 34, "sliding_window": 1024,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        },
        "torch_dtype": "bfloat16",
        "vision_config": {
            "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
            "num_hidden_layers": 27, "num_attention_heads": 16, "image_size": 896,
            "patch_size": 14, "vision_use_head": False,
        },
    }  # fmt: skip
    bundled = load_model("google/gemma-3-4b-it")
    model = load_model(folder(tmp_path, config))
    assert model._replace(id="", source="") == bundled._replace(id="", source="")


def test_a_tower_of_unknown_size_is_said_to_be(tmp_path: Path) -> None:
    config = {**LLAMA, "vision_config": {"model_type": "unheard-of"}}
    model = load_model(folder(tmp_path, config))
    assert model.parameters.vision == 0
    assert model.source.endswith("without its vision tower, whose size is not known")


# --- damage --------------------------------------------------------------------------------


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


def framed(header: object) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no safetensors file"),
        (b"\x01", "no safetensors file"),
        (b"\xff" * 64, "no safetensors file"),
        (struct.pack("<Q", 90) + b"{}", "no safetensors file"),
        (framed([]), "no safetensors file"),
        (framed({"w": 3}), "tensor 'w' has no dtype, shape or place"),
        (framed({"w": {"dtype": "BF16", "shape": [-1], "data_offsets": [0, 2]}}), "tensor 'w'"),
        (framed({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0]}}), "tensor 'w'"),
        (framed({"w": {"dtype": 3, "shape": [1], "data_offsets": [0, 2]}}), "tensor 'w'"),
    ],
)
def test_a_damaged_header_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(folder(tmp_path, LLAMA, model=content))


@given(content=st.binary(max_size=200))
def test_no_header_breaks_the_reader(content: bytes, tmp_path_factory: Any) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    file.write_bytes(content)
    try:
        read_header(file)
    except InputError as error:
        assert "\n" not in error.message
