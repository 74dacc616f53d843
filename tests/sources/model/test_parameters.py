"""Closed-form parameter counts against transformers' own modules.

``parameter_totals.json``: what instantiating each model on the meta device with transformers
5.19.0 counts (language model; vision towers only where the bundled table states one).
"""

import json
from pathlib import Path

import pytest

from skyserve_llm.sources.hub import bundled_models
from skyserve_llm.types import ModelSpec

TOTALS: dict[str, int] = json.loads(
    Path(__file__).with_name("parameter_totals.json").read_text(encoding="utf-8")
)
MODELS = {model.id: model for model in bundled_models()}

# transformers keeps the router's correction bias as a buffer and does not count it; the
# checkpoints hold it as a tensor and vLLM loads it: one number an expert in each of so many layers.
ROUTER_BIAS_LAYERS = {
    "deepseek-ai/DeepSeek-V3": 58,
    "deepseek-ai/DeepSeek-R1": 58,
    "deepseek-ai/DeepSeek-V3.2": 58,
    "moonshotai/Kimi-K2-Instruct": 60,
    "moonshotai/Kimi-K2.5": 60,
    "zai-org/GLM-5": 75,
    "MiniMaxAI/MiniMax-M2.5": 62,
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": 23,
}


# Buffers too: Gemma 4's scalar in each layer, and the two scales of its vision tower.
GEMMA_4_BUFFERS = 30 + 2 * 1152


def expected(model: ModelSpec) -> int:
    if model.id == "google/gemma-4-26B-A4B":  # counted with its tower
        return TOTALS[model.id] + GEMMA_4_BUFFERS
    router_biases = ROUTER_BIAS_LAYERS.get(model.id, 0) * model.num_experts
    return TOTALS[model.id] + model.parameters.vision + router_biases


@pytest.mark.parametrize("name", sorted(TOTALS))
def test_the_closed_form_is_exact(name: str) -> None:
    assert MODELS[name].parameters.total == expected(MODELS[name])


def test_a_searched_architecture_is_counted_layer_by_layer() -> None:
    model = MODELS["nvidia/Llama-3_3-Nemotron-Super-49B-v1"]
    assert model.parameters.total == 49_867_145_216  # what its hub page shows
    (group,) = model.attention
    assert (group.layers, group.kv_heads, group.head_dim) == (49, 8, 128)


def test_phixtral_is_counted_expert_by_expert() -> None:
    counts = MODELS["mlabonne/phixtral-4x2_8"].parameters
    assert counts.total == 7_814_405_120
    # fc1 [10240, 2560] and fc2 [2560, 10240] with biases, 4 experts in 32 layers
    assert counts.experts == 32 * 4 * (2 * 2560 * 10240 + 10240 + 2560)


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("mistralai/Mixtral-8x7B-v0.1", 12.9),
        ("deepseek-ai/DeepSeek-V3", 37.6),
        ("openai/gpt-oss-120b", 5.7),
        ("Qwen/Qwen3-30B-A3B", 3.35),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", 17.2),
    ],
)
def test_active_parameters_are_what_the_models_are_named_for(name: str, billions: float) -> None:
    assert MODELS[name].active_parameters / 1e9 == pytest.approx(billions, rel=0.01)
