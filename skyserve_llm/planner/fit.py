"""One model on one kind and number of cards: what vLLM would log there, and what would make it
fit where it does not. No prices. Pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from skyserve_llm.planner import check_workload, summary
from skyserve_llm.planner.alternatives import alternatives
from skyserve_llm.planner.memory import account, estimate_memory
from skyserve_llm.planner.placement import Placement, context_length, place
from skyserve_llm.planner.remedies import find_remedies
from skyserve_llm.planner.support import indivisible, unsupported, weight_only
from skyserve_llm.types import (
    EngineArgs,
    EngineChoice,
    GpuSpec,
    MemoryEstimate,
    ModelSpec,
    ModelSummary,
    Rejection,
    ThroughputEstimate,
    Variant,
    Workload,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The document of `fit -o json`: a candidate without its price.

    ``memory``, ``kv_cache_tokens`` and what hangs on them are None where the card cannot run the
    model at all; where it can but there is too little room they say how much there is.
    ``throughput`` is None where it does not fit. ``remedies`` are changes that would make it fit,
    one each.
    """

    model: ModelSummary
    workload: Workload
    engine_args: EngineArgs
    gpu: str
    gpu_count: int
    tensor_parallel_size: int
    pipeline_parallel_size: int
    quantization: str | None
    repository: str | None
    altered: str | None
    weight_only: bool
    max_num_batched_tokens: int | None
    max_num_seqs: int | None
    memory: MemoryEstimate | None
    kv_cache_tokens: int | None
    max_concurrency: float | None
    max_model_len_that_fits: int | None
    fits: bool
    reason: str | None
    remedies: tuple[str, ...]
    throughput: ThroughputEstimate | None


def fit(
    model: ModelSpec,
    engine: EngineChoice,
    gpu: GpuSpec,
    gpu_count: int,
    *,
    workload: Workload,
    engine_args: EngineArgs,
    variants: Sequence[Variant] = (),
) -> Fit:
    """Put the model on the cards.

    Raises:
        InputError: the workload asks for more context than the model has, or ``engine_args`` for
            a quantization that nothing known of it has.
    """
    check_workload(model, workload)
    served, *_ = alternatives(model, engine.name, engine_args.quantization, variants)
    stages, longest = engine_args.pipeline_parallel_size, context_length(model, workload)
    size = gpu_count // stages
    placed = place(served, gpu, gpu_count, engine_args, workload)
    remedies: tuple[str, ...] = ()
    if isinstance(placed, Rejection):
        others = alternatives(model, engine.name, "auto", variants)[1:]
        remedies = tuple(find_remedies(served, others, gpu, gpu_count, engine_args, workload))
    parts = memory = capacity = None
    if not (
        unsupported(served.model, gpu, engine_args)
        or indivisible(served.model, gpu_count, engine_args)
    ):
        parts = account(served.model, gpu, engine_args, size, longest)
        memory = estimate_memory(served.model, parts)
        capacity = parts.layout.capacity(memory.kv_cache_bytes, longest)
    return Fit(
        model=summary(model, engine),
        workload=replace(workload, max_model_len=longest),
        engine_args=engine_args,
        gpu=gpu.name,
        gpu_count=gpu_count,
        tensor_parallel_size=size,
        pipeline_parallel_size=stages,
        quantization=served.model.quantization.method if served.model.quantization else None,
        repository=served.repository,
        altered=served.altered,
        weight_only=weight_only(served.model, gpu),
        max_num_batched_tokens=parts and parts.batch.max_num_batched_tokens,
        max_num_seqs=parts and parts.batch.max_num_seqs,
        memory=memory,
        kv_cache_tokens=capacity and capacity[0],
        max_concurrency=capacity and round(capacity[1], 2),
        max_model_len_that_fits=parts.layout.longest(
            memory.kv_cache_bytes, model.max_position_embeddings
        )
        if parts and memory
        else None,
        fits=isinstance(placed, Placement),
        reason=placed.reason if isinstance(placed, Rejection) else None,
        remedies=remedies,
        throughput=placed.throughput if isinstance(placed, Placement) else None,
    )
