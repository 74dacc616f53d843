"""Weights whose headers were read take what those headers add up to, whatever their method."""

import json
from pathlib import Path

import pytest

from skyserve_llm.planner.memory import bytes_per_linear_weight, bytes_per_quantized_weight
from skyserve_llm.planner.memory.weights import weights_bytes
from skyserve_llm.sources.hub import load_model
from skyserve_llm.types import ModelSpec, Quantization
from tests.planner.cards import MODELS
from tests.sources.hub.models import LLAMA, packed_llama_tensors
from tests.sources.hub.safetensors_files import safetensors

AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32}
WIDE = MODELS["meta-llama/Llama-3.1-8B-Instruct"]


@pytest.fixture
def awq(tmp_path: Path) -> ModelSpec:
    """A folder with a tiny Llama as AWQ packs it, whose embedding needs no padding."""
    config = {**LLAMA, "quantization_config": AWQ}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(safetensors(packed_llama_tensors()))
    return load_model(str(tmp_path))


def test_the_headers_and_the_method_tell_the_same_of_plain_awq(awq: ModelSpec) -> None:
    assert bytes_per_quantized_weight(awq) == bytes_per_linear_weight(awq.quantization)


def test_on_one_card_it_is_what_the_checkpoint_holds(awq: ModelSpec) -> None:
    padding = 2 * 2 * (128 - 100) * 64  # the vocabulary's, in embedding and head
    rope = awq.dimensions.rope_cache_values * 2
    assert awq.checkpoint_bytes is not None
    assert weights_bytes(awq, 1) == awq.checkpoint_bytes + padding + rope


def test_of_mixed_widths_only_the_headers_know() -> None:
    mixed = WIDE._replace(
        quantization=Quantization("modelopt_mixed", 4, 16), checkpoint_bytes=8 * 10**9
    )
    rope = mixed.dimensions.rope_cache_values * 2
    assert weights_bytes(mixed, 1) == pytest.approx(8 * 10**9 + rope, rel=1e-4)


def test_without_headers_or_sense_the_method_says() -> None:
    fp8 = WIDE._replace(quantization=Quantization("fp8", 8))
    for stored in (None, 10, 10**15):
        assert bytes_per_quantized_weight(fp8._replace(checkpoint_bytes=stored)) == 1.0
    assert bytes_per_quantized_weight(WIDE._replace(checkpoint_bytes=10**9)) == 2.0
