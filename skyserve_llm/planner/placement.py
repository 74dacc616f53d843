"""Which cards, and how many, can hold a model under a workload: fit or a reason why not.

A replica uses all GPUs of its instance: one tensor-parallel group, or as many of them in a row as
there are pipeline stages. Pure predicates.
"""

from typing import NamedTuple

from skyserve_llm.planner.memory import Account, account, estimate_memory
from skyserve_llm.planner.support import indivisible, unsupported
from skyserve_llm.planner.throughput import estimate_throughput
from skyserve_llm.types import (
    EngineArgs,
    GpuSpec,
    MemoryEstimate,
    ModelSpec,
    Rejection,
    Served,
    ThroughputEstimate,
    Workload,
)
from skyserve_llm.units import gib


class Placement(NamedTuple):
    """What is served on ``gpu_count`` cards of one kind, and what that gives."""

    served: Served
    gpu: str
    gpu_count: int
    tensor_parallel_size: int
    memory: MemoryEstimate
    kv_cache_tokens: int
    max_concurrency: float
    throughput: ThroughputEstimate


def place(
    served: Served, gpu: GpuSpec, gpu_count: int, engine: EngineArgs, workload: Workload
) -> Placement | Rejection:
    """Put a model on ``gpu_count`` cards, or say in one line why it cannot go there."""
    model = served.model
    reason = unsupported(model, gpu, engine) or indivisible(model, gpu_count, engine)
    if reason:
        return Rejection(gpu=gpu.name, gpu_count=gpu_count, reason=reason)
    size, longest = gpu_count // engine.pipeline_parallel_size, context_length(model, workload)
    parts = account(model, gpu, engine, size, longest)
    memory = estimate_memory(model, parts)
    needed = max(
        # vLLM refuses to start unless one request of max_model_len fits.
        parts.layout.needed_bytes(1, longest),
        parts.layout.needed_bytes(workload.concurrency, request_length(workload, longest)),
    )
    if memory.kv_cache_bytes < needed:
        return Rejection(
            gpu=gpu.name,
            gpu_count=gpu_count,
            reason=_shortage(memory, parts, longest, workload),
            shortfall_bytes=needed - memory.kv_cache_bytes,
            max_model_len_that_fits=parts.layout.longest(memory.kv_cache_bytes, longest),
        )
    tokens, concurrency = parts.layout.capacity(memory.kv_cache_bytes, longest)
    return Placement(
        served=served,
        gpu=gpu.name,
        gpu_count=gpu_count,
        tensor_parallel_size=size,
        memory=memory,
        kv_cache_tokens=tokens,
        max_concurrency=round(concurrency, 2),
        throughput=estimate_throughput(model, gpu, size, memory, workload),
    )


def context_length(model: ModelSpec, workload: Workload) -> int:
    """The context a replica serves: the workload's limit, or what vLLM takes of the model's."""
    default = model.default_max_model_len or model.max_position_embeddings
    return workload.max_model_len or default


def request_length(workload: Workload, longest: int) -> int:
    """Tokens of one of the workload's requests when it is done."""
    return min(longest, workload.input_tokens + workload.output_tokens)


def _shortage(memory: MemoryEstimate, parts: Account, longest: int, workload: Workload) -> str:
    """What does not fit, and what of it would."""
    left, layout = memory.kv_cache_bytes, parts.layout
    if left <= 0:
        beside = memory.activation_bytes + memory.overhead_bytes
        return (
            f"weights {gib(memory.weights_bytes)} and {gib(beside)} beside them leave no room "
            f"in {gib(memory.per_gpu_capacity_bytes)}"
        )
    if not layout.holds(left, 1, longest):
        fits = layout.longest(left, longest)
        needed = gib(layout.needed_bytes(1, longest))
        way_out = f": --max-model-len {fits} fits" if fits else ""
        return (
            f"one request of {longest:,} tokens needs {needed} of KV cache, "
            f"{gib(left)} is left{way_out}"
        )
    tokens = request_length(workload, longest)
    needed = gib(layout.needed_bytes(workload.concurrency, tokens))
    fit = (left // layout.block_bytes - 1) // layout.blocks(tokens)
    return (
        f"{workload.concurrency} requests of {tokens:,} tokens need {needed} of KV cache, "
        f"{gib(left)} is left: {fit} fit"
    )
