"""GPU memory as vLLM spends it: weights, activation peak, overhead, and what KV cache is left.

vLLM takes ``gpu_memory_utilization`` of a card, loads the weights, runs one full batch to see
the activation peak, adds what lies outside PyTorch and the CUDA graphs, and gives all the rest
to the KV cache (vllm/v1/worker/gpu_worker.py, ``determine_available_memory``). All sizes are
bytes per GPU. Pure arithmetic: knows models and cards, not prices.
"""

from typing import NamedTuple

from skyserve_llm.planner.memory.activations import (
    ActivationPhases,
    Batch,
    activation_phases,
)
from skyserve_llm.planner.memory.card import (
    capacity_bytes,
    generation,
    max_num_batched_tokens,
    max_num_seqs,
    visible_bytes,
)
from skyserve_llm.planner.memory.kv_cache import BLOCK_SIZE, KvLayout, kv_layout, token_bytes
from skyserve_llm.planner.memory.overhead import Overhead, overhead
from skyserve_llm.planner.memory.releases import release
from skyserve_llm.planner.memory.weights import (
    WeightParts,
    bytes_per_linear_weight,
    bytes_per_quantized_weight,
    weight_parts,
    weights_bytes,
)
from skyserve_llm.types import EngineArgs, GpuSpec, MemoryEstimate, ModelSpec
from skyserve_llm.units import GIB

__all__ = [
    "Account",
    "account",
    "bytes_per_linear_weight",
    "bytes_per_quantized_weight",
    "estimate_memory",
    "visible_bytes",
    "weights_bytes",
]

BAND_BYTES = int(0.4 * GIB)
BAND_SHARE = 0.15
VISION_BAND_BYTES = 2 * GIB
"""How far what vLLM logs may lie from the estimate: so much, and a share of what is estimated
beside the weights (of 15 measured rows 14 are within). A vision tower is profiled with the
largest images it takes; where it is not known how many those are, it may take so much more."""


class Account(NamedTuple):
    """One rank's memory, part by part: what an estimate is the sum of."""

    capacity: int
    weights: WeightParts
    activations: ActivationPhases
    overhead: Overhead
    layout: KvLayout
    token_bytes: int
    batch: Batch


def account(
    model: ModelSpec,
    gpu: GpuSpec,
    engine: EngineArgs,
    tensor_parallel_size: int,
    max_model_len: int | None = None,
) -> Account:
    """Split one GPU's memory in all its parts.

    ``max_model_len`` is the context that will be served, the model's own where it is None.

    Raises:
        InputError: ``engine.vllm_version`` cannot be read.
    """
    rules = release(engine.vllm_version)
    size, stages, kind = tensor_parallel_size, engine.pipeline_parallel_size, generation(gpu)
    tokens = max_num_batched_tokens(gpu, engine, rules)
    batch = Batch(
        max_num_batched_tokens=tokens,
        max_num_seqs=max_num_seqs(gpu, engine, rules),
        max_model_len=max_model_len or model.max_position_embeddings,
        block_size=engine.block_size or BLOCK_SIZE,
        compiled=not engine.enforce_eager,
    )
    eight_bits = engine.kv_cache_dtype.startswith("fp8")
    return Account(
        capacity=capacity_bytes(gpu, engine),
        weights=weight_parts(model, size, stages, kind),
        activations=activation_phases(model, kind, size, batch, rules),
        overhead=overhead(model, kind, size * stages, size, batch, rules),
        layout=kv_layout(
            model,
            size,
            stages,
            eight_bits=eight_bits,
            block_size=engine.block_size,
            in_flight=tokens * rules.steps_in_flight,
        ),
        token_bytes=token_bytes(model, size, stages, eight_bits=eight_bits),
        batch=batch,
    )


def estimate_memory(model: ModelSpec, found: Account) -> MemoryEstimate:
    """The parts added up, and the band around them. They make ``per_gpu_capacity_bytes`` to the
    byte; ``kv_cache_bytes`` is negative by as much as the rest does not fit."""
    weights, beside = sum(found.weights), sum(found.overhead)
    activation = found.activations.peak
    left = found.capacity - weights - activation - beside
    blind = model.parameters.vision and not model.dimensions.image_tokens
    band = BAND_BYTES + round(BAND_SHARE * (activation + beside))
    return MemoryEstimate(
        weights_bytes=weights,
        kv_cache_bytes=left,
        kv_cache_bytes_per_token=found.token_bytes,
        activation_bytes=activation,
        overhead_bytes=beside,
        per_gpu_capacity_bytes=found.capacity,
        kv_cache_low_bytes=left - band - (VISION_BAND_BYTES if blind else 0),
        kv_cache_high_bytes=left + band,
    )
