"""Which cards, and how many, can hold a model under a workload: fit or a reason why not.

A replica uses all GPUs of its instance as one tensor-parallel group. Pure predicates.
"""

from typing import NamedTuple

from skyserve_llm.planner.memory import estimate_memory, max_concurrency, request_bytes
from skyserve_llm.planner.throughput import estimate_throughput
from skyserve_llm.types import (
    EngineArgs,
    GpuSpec,
    MemoryEstimate,
    ModelSpec,
    Rejection,
    ThroughputEstimate,
    Workload,
)
from skyserve_llm.units import gib

GPU_COUNTS = (1, 2, 4, 8)


class Placement(NamedTuple):
    """A model on ``gpu_count`` cards of one kind, and what that gives."""

    gpu: str
    gpu_count: int
    memory: MemoryEstimate
    kv_cache_tokens: int
    max_concurrency: float
    throughput: ThroughputEstimate


def place(
    model: ModelSpec, gpu: GpuSpec, gpu_count: int, engine: EngineArgs, workload: Workload
) -> Placement | Rejection:
    """Put the model on ``gpu_count`` cards, or say in one line why it cannot go there."""
    reason = _unsupported(model, gpu, engine) or _indivisible(model, gpu_count, engine)
    if reason:
        return Rejection(gpu=gpu.name, gpu_count=gpu_count, reason=reason)
    memory = estimate_memory(model, gpu, gpu_count, engine)
    room = memory.kv_cache_bytes
    # vLLM refuses to start unless one request of max_model_len fits.
    longest = context_length(model, workload)
    one_request = request_bytes(model, gpu, gpu_count, engine, longest)
    working_set = workload.concurrency * request_bytes(
        model, gpu, gpu_count, engine, min(longest, workload.input_tokens + workload.output_tokens)
    )
    needed = max(one_request, working_set)
    if room < needed:
        return Rejection(
            gpu=gpu.name,
            gpu_count=gpu_count,
            reason=_shortage(memory, needed, one_request >= working_set, longest, workload),
            shortfall_bytes=needed - room,
        )
    concurrency = max_concurrency(room, one_request)
    return Placement(
        gpu=gpu.name,
        gpu_count=gpu_count,
        memory=memory,
        kv_cache_tokens=int(concurrency * longest),
        max_concurrency=round(concurrency, 2),
        throughput=estimate_throughput(model, gpu, gpu_count, memory, workload),
    )


def context_length(model: ModelSpec, workload: Workload) -> int:
    """The context a replica serves: the workload's limit, or the model's own."""
    return workload.max_model_len or model.max_position_embeddings


def _unsupported(model: ModelSpec, gpu: GpuSpec, engine: EngineArgs) -> str | None:
    if not gpu.compute_capability[:1].isdigit():
        return f"{gpu.name} is not a CUDA card; the replica installs vLLM's CUDA build"
    if (engine.dtype or model.dtype) == "bfloat16" and not gpu.bf16:
        return f"bfloat16 needs compute capability 8.0, {gpu.name} has {gpu.compute_capability}"
    return None


def _indivisible(model: ModelSpec, gpu_count: int, engine: EngineArgs) -> str | None:
    if engine.tensor_parallel_size not in (None, gpu_count):
        return f"tensor_parallel_size {engine.tensor_parallel_size} was asked for"
    if gpu_count not in GPU_COUNTS:
        return f"a tensor-parallel group has 1, 2, 4 or 8 GPUs, not {gpu_count}"
    if model.num_attention_heads % gpu_count:
        return f"{model.num_attention_heads} attention heads do not divide over {gpu_count} GPUs"
    for group in model.attention:
        # vLLM splits KV heads evenly or repeats each on the same number of ranks.
        if group.kv_heads and group.kv_heads % gpu_count and gpu_count % group.kv_heads:
            return f"{group.kv_heads} KV heads do not divide over {gpu_count} GPUs"
    return None


def _shortage(
    memory: MemoryEstimate, needed: int, by_length: bool, longest: int, workload: Workload
) -> str:
    if memory.kv_cache_bytes <= 0:
        return (
            f"weights {gib(memory.weights_bytes)} and overhead leave no room "
            f"in {gib(memory.per_gpu_capacity_bytes)}"
        )
    load = (
        f"one request of {longest:,} tokens"
        if by_length
        else f"{workload.concurrency} requests of "
        f"{workload.input_tokens + workload.output_tokens:,} tokens"
    )
    return f"{load} needs {gib(needed)} of KV cache, {gib(memory.kv_cache_bytes)} is left"
