"""Time to first token and time per output token: a plain bandwidth and compute roofline.

A decode step reads every weight it needs and the KV cache of every request once; a prefill
does 2 FLOP per active weight and token. Nothing is taken off for kernels, launches or
communication, so these are the best a card could do, not what it will do. Pure arithmetic.
"""

from skyserve_llm.planner.memory import bytes_per_quantized_weight, weights_bytes
from skyserve_llm.types import (
    GpuSpec,
    MemoryEstimate,
    ModelSpec,
    ThroughputEstimate,
    Workload,
)


def experts_read(model: ModelSpec, batch: int) -> float:
    """Expected number of distinct experts that ``batch`` tokens touch in one layer.

    Tokens choose ``num_experts_per_tok`` of ``num_experts`` independently and evenly:
    E (1 - (1 - k/E)^batch).
    """
    missed = (1 - model.num_experts_per_tok / model.num_experts) ** batch
    return model.num_experts * (1 - missed)


def estimate_throughput(
    model: ModelSpec,
    gpu: GpuSpec,
    tensor_parallel_size: int,
    memory: MemoryEstimate,
    workload: Workload,
) -> ThroughputEstimate:
    """The roofline at the workload's concurrency; None where the card's figures are unknown."""
    tpot = ttft = rate = None
    if gpu.bandwidth_gb_s:
        weights = weights_bytes(model, tensor_parallel_size)
        if model.num_experts:
            idle = 1 - experts_read(model, workload.concurrency) / model.num_experts
            experts = model.parameters.experts / tensor_parallel_size
            weights -= round(experts * bytes_per_quantized_weight(model) * idle)
        context = workload.input_tokens + workload.output_tokens // 2
        kv = memory.kv_cache_bytes_per_token * context * workload.concurrency
        tpot = (weights + kv) / (gpu.bandwidth_gb_s * 1e9) * 1e3
        rate = workload.concurrency / tpot * 1e3
    if gpu.fp16_tflops:
        flop = 2 * model.active_parameters * workload.input_tokens
        ttft = flop / (gpu.fp16_tflops * 1e12 * tensor_parallel_size) * 1e3
        if tpot is not None:
            ttft = max(ttft, tpot)  # a prefill reads the weights too
    return ThroughputEstimate(
        ttft_ms=_round(ttft), tpot_ms=_round(tpot), output_tokens_per_s=_round(rate),
        basis="modelled",
    )  # fmt: skip


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
