"""How wide a token is on its way through each kind of model."""

import pytest

from skyserve_llm.errors import InputError
from skyserve_llm.sources.hub import bundled_models
from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.images import image_tokens
from skyserve_llm.types import Dimensions

WIDE = {model.id: model.dimensions for model in bundled_models()}


def test_a_dense_model_holds_gate_up_and_their_product() -> None:
    assert WIDE["meta-llama/Llama-3.1-8B-Instruct"] == Dimensions(
        query=4096, output=4096, key_value=2048, mlp=3 * 14336, rope_cache_values=131072 * 128
    )
    assert WIDE["microsoft/phi-2"].mlp == 2 * 10240  # no gate


def test_experts_are_counted_one_by_one_and_shared_ones_together() -> None:
    lite = WIDE["deepseek-ai/DeepSeek-V2-Lite-Chat"]
    assert (lite.mlp, lite.expert, lite.shared) == (3 * 10944, 1408, 3 * 2816)
    mixtral = WIDE["mistralai/Mixtral-8x7B-v0.1"]
    assert (mixtral.mlp, mixtral.expert, mixtral.shared) == (0, 14336, 0)


def test_a_latent_is_expanded_for_all_heads() -> None:
    lite = WIDE["deepseek-ai/DeepSeek-V2-Lite-Chat"]
    assert lite.latent_context == 16 * (128 + 128)
    assert lite.latent_rank == 512
    assert lite.key_value == 576
    assert (lite.query, lite.output) == (16 * 192, 16 * 128)


def test_gated_attention_asks_twice() -> None:
    wide = WIDE["Qwen/Qwen3.5-27B"]
    assert wide.query == 2 * wide.output


def test_windows_that_turn_otherwise_have_a_table_of_their_own() -> None:
    assert WIDE["google/gemma-3-1b-it"].rope_cache_values == 2 * 32768 * 256


@pytest.mark.parametrize(
    ("model", "largest", "patches"),
    [("google/gemma-3-4b-it", 256, 16), ("google/gemma-4-26B-A4B", 280, 9),
     ("Qwen/Qwen3.5-27B", 16384, 4), ("moonshotai/Kimi-K2.5", 4096, 4)],
)  # fmt: skip
def test_an_image_is_so_many_patches_a_token(model: str, largest: int, patches: int) -> None:
    wide = WIDE[model]
    assert wide.image_tokens == largest
    assert (wide.image_hidden, wide.image_inner) == (patches * 2 * 1152, patches * 2 * 4304)


def test_a_tower_whose_rule_is_not_known_is_said_to_be() -> None:
    config = ModelConfig(
        {"model_type": "nobodys_vl", "vision_config": {"hidden_size": 8}}, origin="test"
    )
    assert image_tokens(config) == (0, 0, 0)
    assert image_tokens(ModelConfig({"model_type": "gemma3"}, origin="test")) == (0, 0, 0)


def test_a_known_tower_without_its_size_is_refused() -> None:
    raw = {"model_type": "gemma3", "vision_config": {"intermediate_size": 8}}
    with pytest.raises(InputError, match="hidden_size"):
        image_tokens(ModelConfig(raw, origin="test"))
