"""One placement: what vLLM would log, and what would make it fit."""

from dataclasses import replace

import pytest

from skyserve_llm.errors import InputError
from skyserve_llm.planner.fit import Fit, fit
from skyserve_llm.planner.placement import Placement, place
from skyserve_llm.types import EngineArgs, EngineChoice, GpuSpec, ModelSpec, Served, Workload
from tests.planner.cards import (
    A100_80GB,
    H200,
    L4,
    LLAMA_8B,
    MI300X,
    MIXTRAL,
    MODELS,
    PHIXTRAL,
    T4,
)

VLLM, OURS = EngineChoice("vllm", "test"), EngineChoice("transformers", "test")


def on(
    model: ModelSpec, gpu: GpuSpec, count: int = 1, args: EngineArgs | None = None, **load: int
) -> Fit:
    engine = OURS if model is PHIXTRAL else VLLM
    return fit(
        model, engine, gpu, count, workload=Workload(**load), engine_args=args or EngineArgs()
    )


def test_it_says_what_a_placement_of_a_plan_would() -> None:
    found = on(LLAMA_8B, L4, max_model_len=8192)
    placed = place(Served(LLAMA_8B), L4, 1, EngineArgs(), Workload(max_model_len=8192))
    assert isinstance(placed, Placement)
    assert found.fits
    assert found.memory == placed.memory
    assert found.kv_cache_tokens == placed.kv_cache_tokens
    assert found.max_concurrency == placed.max_concurrency
    assert found.throughput == placed.throughput
    assert found.reason is None
    assert found.remedies == ()


def test_what_does_not_fit_still_has_its_numbers() -> None:
    found = on(LLAMA_8B, L4)
    assert not found.fits
    assert found.memory is not None
    assert found.memory.kv_cache_bytes > 0
    assert found.kv_cache_tokens
    assert found.max_concurrency is not None
    assert found.max_concurrency < 1
    assert found.throughput is None
    assert "one request of 131,072 tokens needs 16.00 GiB" in (found.reason or "")
    assert f"--max-model-len {found.max_model_len_that_fits} fits" in (found.reason or "")


def test_the_largest_context_that_fits_fits_and_one_block_more_does_not() -> None:
    longest = on(LLAMA_8B, L4).max_model_len_that_fits
    assert longest is not None
    assert on(LLAMA_8B, L4, max_model_len=longest).fits
    assert not on(LLAMA_8B, L4, max_model_len=longest + 16).fits


@pytest.mark.parametrize(
    ("model", "gpu", "args", "load"),
    [
        (LLAMA_8B, L4, EngineArgs(), {}),
        (LLAMA_8B, L4, EngineArgs(), {"max_model_len": 8192, "concurrency": 100}),
        (LLAMA_8B, L4, EngineArgs(), {"max_model_len": 50_000}),
        (PHIXTRAL, T4, EngineArgs(), {}),
        (MODELS["microsoft/phi-2"], T4, EngineArgs(), {"concurrency": 200}),
        (MODELS["Qwen/Qwen2.5-3B-Instruct"], T4, EngineArgs(), {"max_model_len": 4096}),
        (MIXTRAL, H200, EngineArgs(gpu_memory_utilization=0.6), {}),
    ],
)
def test_every_remedy_makes_it_fit(
    model: ModelSpec, gpu: GpuSpec, args: EngineArgs, load: dict[str, int]
) -> None:
    found = on(model, gpu, 1, args, **load)
    assert not found.fits
    assert found.remedies
    for remedy in found.remedies:
        flag, value = remedy.split()
        again, count, changed = dict(load), 1, args
        if flag == "--max-model-len":
            again["max_model_len"] = int(value)
        elif flag == "--concurrency":
            again["concurrency"] = int(value)
        elif flag == "--gpus":
            count = int(value.partition(":")[2])
        elif flag == "--dtype":
            changed = replace(args, dtype="float16")
        else:
            field = flag.removeprefix("--").replace("-", "_")
            changed = replace(args, **{field: value})
        assert on(model, gpu, count, changed, **again).fits, remedy


def test_a_card_that_cannot_run_it_has_no_numbers() -> None:
    found = on(LLAMA_8B, MI300X)
    assert not found.fits
    assert (found.memory, found.kv_cache_tokens, found.max_model_len_that_fits) == (None,) * 3
    assert found.remedies == ()


def test_an_asked_for_fp8_is_weight_only_on_ampere() -> None:
    found = on(MIXTRAL, A100_80GB, 1, EngineArgs(quantization="fp8"))
    assert found.fits
    assert found.weight_only
    assert found.quantization == "fp8"
    assert not on(MIXTRAL, H200, 1, EngineArgs(quantization="fp8")).weight_only


def test_the_engines_own_defaults_are_told() -> None:
    assert on(LLAMA_8B, H200).max_num_batched_tokens == 8192
    assert on(LLAMA_8B, H200).max_num_seqs == 1024
    assert on(LLAMA_8B, A100_80GB).max_num_batched_tokens == 2048


def test_a_workload_beyond_the_model_is_refused() -> None:
    with pytest.raises(InputError, match="131073"):
        on(LLAMA_8B, H200, max_model_len=131_073)
