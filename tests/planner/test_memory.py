"""GPU memory: against what vLLM logged, and the laws any estimate must keep."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skyserve_llm.planner.memory import (
    bytes_per_linear_weight,
    estimate_memory,
    kv_bytes_per_token,
    max_num_batched_tokens,
    request_bytes,
    weights_bytes,
)
from skyserve_llm.types import EngineArgs, ModelSpec, Quantization
from skyserve_llm.units import GIB
from tests.planner.cards import A100_80GB, CARDS, H200, L4, MIXTRAL, MODELS, PHIXTRAL

# vLLM 0.24 on an H200, dummy weights: "Model loading took N GiB" (a log's rounding and the
# allocator's 0.2 GiB of slack included in the tolerance).
LOGGED_WEIGHTS_GIB = {
    "microsoft/phi-2": 5.19,
    "meta-llama/Llama-3.1-8B-Instruct": 15.0,
    "mistralai/Mixtral-8x7B-v0.1": 87.0,
    "TheBloke/Mixtral-8x7B-Instruct-v0.1-AWQ": 23.04,
}

models = st.sampled_from(sorted(MODELS)).map(MODELS.__getitem__)
cards = st.sampled_from(sorted(CARDS)).map(CARDS.__getitem__)
sizes = st.sampled_from([1, 2, 4, 8])
DEFAULTS = EngineArgs()


@pytest.mark.parametrize("name", sorted(LOGGED_WEIGHTS_GIB))
def test_weights_are_what_vllm_loads(name: str) -> None:
    assert weights_bytes(MODELS[name], 1) / GIB == pytest.approx(LOGGED_WEIGHTS_GIB[name], rel=0.01)


@pytest.mark.parametrize(
    ("name", "kv_gib", "tokens"),
    [
        ("microsoft/phi-2", 119.1, 390_256),
        ("meta-llama/Llama-3.1-8B-Instruct", 108.81, 891_392),
        ("mistralai/Mixtral-8x7B-v0.1", 34.45, 282_176),
        ("deepseek-ai/DeepSeek-V2-Lite-Chat", 94.47, 3_261_248),
    ],
)
def test_kv_tokens_are_what_vllm_logs(name: str, kv_gib: float, tokens: int) -> None:
    per_token = kv_bytes_per_token(MODELS[name], 1, DEFAULTS)
    assert kv_gib * GIB / per_token == pytest.approx(tokens, rel=0.001)


def test_phixtral_leaves_room_on_one_l4() -> None:
    memory = estimate_memory(PHIXTRAL, L4, 1, DEFAULTS)
    assert memory.weights_bytes == 7_814_405_120 * 2
    assert memory.kv_cache_bytes_per_token == 2 * 32 * 32 * 80 * 2
    assert memory.kv_cache_bytes > 4 * GIB


def test_a_sliding_window_stops_growing() -> None:
    gemma = MODELS["google/gemma-3-27b-it"]
    short = request_bytes(gemma, L4, 1, DEFAULTS, 1000)
    long = request_bytes(gemma, L4, 1, DEFAULTS, 100_000)
    full = request_bytes(MODELS["Qwen/Qwen3-32B"], L4, 1, DEFAULTS, 1000)
    assert full
    assert long < short * 100 / 4  # only one layer in six goes on growing


def test_large_cards_batch_more_but_the_a100_does_not() -> None:
    assert max_num_batched_tokens(H200, DEFAULTS) == 8192
    assert max_num_batched_tokens(A100_80GB, DEFAULTS) == 2048
    assert max_num_batched_tokens(L4, DEFAULTS) == 2048
    assert max_num_batched_tokens(H200, EngineArgs(max_num_batched_tokens=512)) == 512


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [
        (None, 16),
        (Quantization(method="fp8", bits=8), 8),
        (Quantization(method="awq", bits=4, group_size=128), 4.15625),
        (Quantization(method="gptq", bits=8, group_size=128), 8.1875),
        (Quantization(method="mxfp4", bits=4, group_size=32), 4.25),
        (Quantization(method="bitsandbytes", bits=4, group_size=64), 4.5),
    ],
)
def test_bits_a_weight_include_scales(quantization: Quantization | None, bits: float) -> None:
    assert bytes_per_linear_weight(quantization) * 8 == bits


@given(model=models, gpu=cards, size=sizes, eager=st.booleans())
def test_the_parts_add_up_to_the_byte(model: ModelSpec, gpu, size: int, eager: bool) -> None:
    memory = estimate_memory(model, gpu, size, EngineArgs(enforce_eager=eager))
    parts = memory.weights_bytes + memory.kv_cache_bytes
    parts += memory.activation_bytes + memory.overhead_bytes
    assert parts == memory.per_gpu_capacity_bytes
    assert memory.per_gpu_capacity_bytes <= gpu.memory_mib << 20


@given(model=models, size=st.sampled_from([2, 4, 8]))
def test_more_tensor_parallel_never_needs_more_a_gpu(model: ModelSpec, size: int) -> None:
    assert weights_bytes(model, size) <= weights_bytes(model, size // 2)
    assert kv_bytes_per_token(model, size, DEFAULTS) <= kv_bytes_per_token(
        model, size // 2, DEFAULTS
    )


@given(model=models, tokens=st.integers(1, 100_000), more=st.integers(0, 100_000))
def test_more_context_never_needs_less(model: ModelSpec, tokens: int, more: int) -> None:
    assert request_bytes(model, L4, 1, DEFAULTS, tokens + more) >= request_bytes(
        model, L4, 1, DEFAULTS, tokens
    )


@given(model=models, bits=st.sampled_from([4, 8]))
def test_fewer_bits_never_weigh_more(model: ModelSpec, bits: int) -> None:
    assume(model.quantization is None)
    light = model._replace(quantization=Quantization(method="awq", bits=bits, group_size=128))
    assert weights_bytes(light, 1) <= weights_bytes(model, 1)


@given(model=models)
def test_an_fp8_cache_is_half(model: ModelSpec) -> None:
    half = kv_bytes_per_token(model, 1, EngineArgs(kv_cache_dtype="fp8"))
    assert half * 2 == kv_bytes_per_token(model, 1, DEFAULTS)


def test_mixtral_needs_two_large_cards() -> None:
    assert estimate_memory(MIXTRAL, A100_80GB, 1, DEFAULTS).kv_cache_bytes < 0
    assert estimate_memory(MIXTRAL, A100_80GB, 2, DEFAULTS).kv_cache_bytes > 20 * GIB
