"""What a card's kernels and a number of cards allow."""

import pytest

from skyserve_llm.planner.placement import Placement, place
from skyserve_llm.planner.support import indivisible, unsupported, weight_only
from skyserve_llm.types import (
    EngineArgs,
    GpuSpec,
    ModelSpec,
    Quantization,
    Rejection,
    Served,
    Workload,
)
from tests.planner.cards import (
    A100,
    A100_80GB,
    H200,
    L4,
    LLAMA_8B,
    MI300X,
    MIXTRAL_AWQ,
    MODELS,
    PHIXTRAL,
    T4,
    card,
)

V100 = card("V100", 16384, 897, 125.3, "7.0", bf16=False)
B200 = card("B200", 183359, 7700, 2250, "10.0")
FP8 = LLAMA_8B._replace(quantization=Quantization("fp8", 8))
DEEPSEEK, SPARSE = MODELS["deepseek-ai/DeepSeek-V3"], MODELS["deepseek-ai/DeepSeek-V3.2"]
GPT_OSS = MODELS["openai/gpt-oss-20b"]
QWEN_72B = MODELS["Qwen/Qwen2.5-72B-Instruct"]
HALF = EngineArgs(dtype="float16")


@pytest.mark.parametrize(
    ("model", "gpu", "engine", "reason"),
    [
        (LLAMA_8B, L4, EngineArgs(), None),
        (LLAMA_8B, T4, EngineArgs(), "bfloat16 needs compute capability 8.0, T4 has 7.5"),
        (LLAMA_8B, T4, HALF, None),
        (PHIXTRAL, T4, EngineArgs(), None),
        (PHIXTRAL, V100, EngineArgs(), "vLLM's wheels needs compute capability 7.5"),
        (LLAMA_8B, MI300X, EngineArgs(), "not a CUDA card"),
        (MIXTRAL_AWQ, T4, EngineArgs(), None),
        (FP8, A100, EngineArgs(), None),
        (GPT_OSS, T4, HALF, "mxfp4 needs compute capability 8.0"),
        (DEEPSEEK, T4, HALF, "latent attention (MLA) needs compute capability 8.0"),
        (SPARSE, A100_80GB, EngineArgs(), "sparse attention needs compute capability 9.0"),
        (SPARSE, H200, EngineArgs(), None),
        (PHIXTRAL, T4, EngineArgs(kv_cache_dtype="fp8"), "an fp8 KV cache needs"),
        (PHIXTRAL, A100, EngineArgs(kv_cache_dtype="fp8"), None),
    ],
)
def test_a_card_must_have_the_kernels(
    model: ModelSpec, gpu: GpuSpec, engine: EngineArgs, reason: str | None
) -> None:
    found = unsupported(model, gpu, engine)
    assert found is None if reason is None else reason in (found or "")


@pytest.mark.parametrize(
    ("model", "gpu", "only"),
    [
        (LLAMA_8B, A100, False),
        (FP8, A100, True),
        (FP8, L4, False),
        (FP8, H200, False),
        (MIXTRAL_AWQ, H200, True),
        (LLAMA_8B._replace(quantization=Quantization("modelopt_fp4", 4, 16)), H200, True),
        (LLAMA_8B._replace(quantization=Quantization("modelopt_fp4", 4, 16)), B200, False),
        (LLAMA_8B._replace(quantization=Quantization("compressed-tensors", 8)), A100, False),
    ],
)
def test_small_weights_on_an_old_card_are_expanded(
    model: ModelSpec, gpu: GpuSpec, only: bool
) -> None:
    assert weight_only(model, gpu) is only


@pytest.mark.parametrize(
    ("model", "count", "engine", "reason"),
    [
        (LLAMA_8B, 8, EngineArgs(), None),
        (LLAMA_8B, 3, EngineArgs(), "1, 2, 4 or 8 GPUs, not 3"),
        (LLAMA_8B, 8, EngineArgs(tensor_parallel_size=4), "tensor_parallel_size 4 was asked for"),
        (LLAMA_8B, 8, EngineArgs(tensor_parallel_size=4, pipeline_parallel_size=2), None),
        (LLAMA_8B, 4, EngineArgs(pipeline_parallel_size=3), "4 GPUs do not make 3"),
        (LLAMA_8B, 64, EngineArgs(pipeline_parallel_size=64), "32 layers do not make 64"),
        (MODELS["google/gemma-3-1b-it"], 8, EngineArgs(), "4 attention heads"),
        (MODELS["bigcode/starcoder2-7b"], 8, EngineArgs(), "36 attention heads"),
        (MODELS["microsoft/phi-4"], 4, EngineArgs(), "10 KV heads"),
        # vllm-project/vllm#21695: 29,568 is 231 groups of 128, so that only one GPU takes it.
        (QWEN_72B._replace(quantization=Quantization("awq", 4, 128)), 2, EngineArgs(),
         "whole groups of 128"),
        (QWEN_72B._replace(quantization=Quantization("awq", 4, 128)), 1, EngineArgs(), None),
        (QWEN_72B._replace(quantization=Quantization("fp8", 8, 128)), 4, EngineArgs(),
         "whole groups of 128"),
        (QWEN_72B._replace(quantization=Quantization("fp8", 8)), 4, EngineArgs(), None),
        (QWEN_72B, 8, EngineArgs(), None),
        (MODELS["Qwen/Qwen3-32B-FP8"], 8, EngineArgs(), None),
        (MODELS["deepseek-ai/DeepSeek-V3"], 8, EngineArgs(), None),
        # Experts have kernels for any width to fall back on.
        (MODELS["Qwen/Qwen3-30B-A3B-FP8"], 4, EngineArgs(), None),
    ],
)  # fmt: skip
def test_shapes_must_divide(
    model: ModelSpec, count: int, engine: EngineArgs, reason: str | None
) -> None:
    found = indivisible(model, count, engine)
    assert found is None if reason is None else reason in (found or "")


def test_stages_share_the_layers() -> None:
    engine = EngineArgs(tensor_parallel_size=1, pipeline_parallel_size=2)
    load = Workload(max_model_len=8192)
    one, two = (
        place(Served(LLAMA_8B), L4, count, args, load)
        for count, args in ((1, EngineArgs()), (2, engine))
    )
    assert isinstance(one, Placement)
    assert isinstance(two, Placement)
    assert two.tensor_parallel_size == 1
    assert two.memory.weights_bytes < 0.56 * one.memory.weights_bytes
    assert two.memory.kv_cache_bytes_per_token * 2 == one.memory.kv_cache_bytes_per_token


def test_a_card_that_cannot_run_it_is_turned_down_before_memory_is_counted() -> None:
    outcome = place(Served(LLAMA_8B), V100, 1, EngineArgs(), Workload())
    assert isinstance(outcome, Rejection)
    assert outcome.shortfall_bytes is None
    assert outcome.max_model_len_that_fits is None
