"""GPU memory as vLLM spends it: weights, activation peak, overhead, and what KV cache is left.

vLLM takes ``gpu_memory_utilization`` of a card, loads the weights, runs one full batch to see
the activation peak, adds what lies outside PyTorch and the CUDA graphs, and gives all the rest
to the KV cache (vllm/v1/worker/gpu_worker.py, ``determine_available_memory``). All sizes are
bytes per GPU. Pure arithmetic: knows models and cards, not prices.
"""

from skyserve_llm.types import (
    AttentionLayers,
    EngineArgs,
    GpuSpec,
    MemoryEstimate,
    ModelSpec,
    Quantization,
)
from skyserve_llm.units import GIB, MIB

BLOCK_SIZE = 16
"""Tokens in one KV block: vLLM's default on CUDA."""

LARGE_CARD_BYTES = 70 * GIB
"""From this size on (A100 excepted) vLLM's server batches more by default
(vllm/engine/arg_utils.py, ``get_batch_defaults``)."""

NON_TORCH_BYTES = int(0.13 * GIB)
"""CUDA context and libraries on one GPU: vLLM 0.11 logged 0.13 GiB for each single-GPU row of
llm-d-planner's docs/empirical-vllm-memory-results.md."""

NCCL_BYTES = int(0.42 * GIB)
"""What tensor parallelism adds to that: the same table's 0.55 GiB at tensor_parallel_size 2."""

CUDA_GRAPH_BYTES = int(0.6 * GIB)
"""vLLM 0.24 on an H200 captured 0.57 to 0.59 GiB with max_num_seqs 256 (Llama-3.1-8B, Mixtral
AWQ)."""


def max_num_batched_tokens(gpu: GpuSpec, engine: EngineArgs) -> int:
    """Tokens in one forward pass: the user's, or vLLM's server default for the card."""
    return engine.max_num_batched_tokens or (8192 if _is_large(gpu) else 2048)


def max_num_seqs(gpu: GpuSpec, engine: EngineArgs) -> int:
    """Requests in one forward pass: the user's, or vLLM's server default for the card."""
    return engine.max_num_seqs or (1024 if _is_large(gpu) else 256)


def _is_large(gpu: GpuSpec) -> bool:
    return gpu.memory_mib * MIB >= LARGE_CARD_BYTES and "A100" not in gpu.name


def estimate_memory(
    model: ModelSpec, gpu: GpuSpec, tensor_parallel_size: int, engine: EngineArgs
) -> MemoryEstimate:
    """Split one GPU's memory. Its parts add up to ``per_gpu_capacity_bytes`` to the byte;
    ``kv_cache_bytes`` is negative by as much as the rest does not fit."""
    capacity = int(gpu.memory_mib * MIB * engine.gpu_memory_utilization)
    weights = weights_bytes(model, tensor_parallel_size)
    activation = activation_bytes(model, gpu, tensor_parallel_size, engine)
    overhead = NON_TORCH_BYTES
    if tensor_parallel_size > 1:
        overhead += NCCL_BYTES
    if not engine.enforce_eager:
        overhead += CUDA_GRAPH_BYTES
    return MemoryEstimate(
        weights_bytes=weights,
        kv_cache_bytes=capacity - weights - activation - overhead,
        kv_cache_bytes_per_token=kv_bytes_per_token(model, tensor_parallel_size, engine),
        activation_bytes=activation,
        overhead_bytes=overhead,
        per_gpu_capacity_bytes=capacity,
    )


# --- weights -------------------------------------------------------------------------------


def weights_bytes(model: ModelSpec, tensor_parallel_size: int) -> int:
    """Weights on one rank: most split evenly, KV projections no further than the KV heads."""
    parts, size = model.parameters, tensor_parallel_size
    per_linear = bytes_per_linear_weight(model.quantization)
    per_dense = 2.0 if _experts_only(model.quantization) else per_linear
    kv_split = min(size, max((group.kv_heads for group in model.attention), default=1) or 1)
    sixteen_bit = (parts.embedding + parts.lm_head) / size + parts.replicated + parts.vision
    dense = (parts.attention + parts.mlp + parts.shared_experts) / size
    dense += parts.kv_projection / kv_split
    return round(sixteen_bit * 2 + dense * per_dense + parts.experts / size * per_linear)


def bytes_per_linear_weight(quantization: Quantization | None) -> float:
    """Bytes one linear weight takes with its share of scales and zero points.

    AWQ and GPTQ keep a 16-bit scale and a zero of ``bits`` for each group (4.156 bits at 4 bits
    and groups of 128); MXFP4 one 8-bit scale for 32 values (4.25, OCP MX specification 1.0);
    NF4 a 32-bit absmax for 64 (4.5, arXiv:2305.14314).
    """
    if quantization is None:
        return 2.0
    bits, group = float(quantization.bits), quantization.group_size
    if group:
        if quantization.method in ("awq", "gptq", "awq_marlin", "gptq_marlin", "auto-round"):
            bits += (16 + quantization.bits) / group
        elif quantization.method == "mxfp4":
            bits += 8 / group
        elif quantization.method == "bitsandbytes":
            bits += 32 / group
        else:
            bits += 16 / group
    return bits / 8


def _experts_only(quantization: Quantization | None) -> bool:
    return quantization is not None and quantization.experts_only


# --- activations ---------------------------------------------------------------------------


def activation_bytes(
    model: ModelSpec, gpu: GpuSpec, tensor_parallel_size: int, engine: EngineArgs
) -> int:
    """Peak of vLLM's profiling run: one layer's intermediates for a full batch, and its logits.

    A layer holds the residual stream, the normed input, attention's output and the MLP's input
    (4 x hidden, on every rank) beside gate, up and their product (3 x inner width, split), in
    16 bits; the sampler then holds float32 logits of every request, once split over ranks.
    """
    per_token = 4 * model.hidden_size + 3 * model.feed_forward_width / tensor_parallel_size
    layers = max_num_batched_tokens(gpu, engine) * per_token * 2
    logits = max_num_seqs(gpu, engine) * model.vocab_size * 4
    return round(layers + logits)


# --- KV cache ------------------------------------------------------------------------------


def _kv_element_bytes(engine: EngineArgs) -> int:
    return 1 if engine.kv_cache_dtype.startswith("fp8") else 2


def _token_bytes(group: AttentionLayers, tensor_parallel_size: int, element: int) -> int:
    """One token's K and V in all layers of a group, on one rank (one KV head at least)."""
    if group.kind == "state":
        return 0
    if group.kind == "mla":
        return group.layers * group.latent_dim * element
    heads = max(1, group.kv_heads // tensor_parallel_size)
    return 2 * group.layers * heads * group.head_dim * element


def kv_bytes_per_token(model: ModelSpec, tensor_parallel_size: int, engine: EngineArgs) -> int:
    """What one more token takes on one rank while no sliding window is full."""
    element = _kv_element_bytes(engine)
    return sum(_token_bytes(group, tensor_parallel_size, element) for group in model.attention)


def request_bytes(
    model: ModelSpec,
    gpu: GpuSpec,
    tensor_parallel_size: int,
    engine: EngineArgs,
    tokens: int,
) -> int:
    """KV cache of one request of ``tokens`` on one rank, in whole blocks.

    A sliding layer keeps its window and the batch in flight, and one block for where the window
    starts (vllm/v1/kv_cache_interface.py, ``SlidingWindowSpec.max_memory_usage_bytes``).
    """
    element = _kv_element_bytes(engine)
    batch = max_num_batched_tokens(gpu, engine)
    total = 0
    for group in model.attention:
        if group.kind == "state":
            total += group.layers * group.state_values * 2 // tensor_parallel_size
            continue
        kept, extra = tokens, 0
        if group.kind == "sliding":
            kept, extra = min(group.window - 1 + batch, tokens), 1
        blocks = -(-kept // BLOCK_SIZE) + extra
        total += blocks * BLOCK_SIZE * _token_bytes(group, tensor_parallel_size, element)
    return total


def max_concurrency(kv_cache_bytes: int, bytes_per_request: int) -> float:
    """Requests of that size the KV cache holds at once: vLLM's "Maximum concurrency"."""
    return max(0, kv_cache_bytes) / bytes_per_request
