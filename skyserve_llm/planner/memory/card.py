"""What of a card vLLM sees, and how much it batches on it by default."""

from skyserve_llm.planner.memory.releases import Release
from skyserve_llm.types import EngineArgs, GpuSpec
from skyserve_llm.units import GIB, MIB

RESERVED_BYTES = int(0.385 * GIB)
RESERVED_SHARE = 0.0015
"""What the driver keeps of a card: ``nvidia-smi`` tells more than ``torch`` can have
(``get_device_properties().total_memory``, which vLLM divides up). Fitted on RTX 3090 (24.00 and
23.58 GiB), RTX 5090 (31.84 and 31.4), H100 (79.65 and 79.18) and H200 (140.40 and 139.80): within
0.04 GiB of each."""

LARGE_CARD_BYTES = 70 * GIB
HUGE_CARD_BYTES = 160 * GIB
"""From these sizes on vLLM's server batches more by default, an A100 excepted
(vllm/engine/arg_utils.py, ``get_batch_defaults``)."""

MAX_CAPTURED_REQUESTS = 512
"""The largest batch with a CUDA graph of its own (vllm/config/vllm.py,
``_set_cudagraph_sizes``)."""


def visible_bytes(gpu: GpuSpec) -> int:
    """What a program can have of the card, of the memory that its driver reports."""
    total = gpu.memory_mib * MIB
    return int(total * (1 - RESERVED_SHARE)) - RESERVED_BYTES


def capacity_bytes(gpu: GpuSpec, engine: EngineArgs) -> int:
    """What vLLM takes of the card (vllm/v1/worker/utils.py, ``request_memory``)."""
    return int(visible_bytes(gpu) * engine.gpu_memory_utilization)


def compute_capability(gpu: GpuSpec) -> tuple[int, int] | None:
    """(8, 9) for an L4; None where it is no CUDA card."""
    major, _, minor = gpu.compute_capability.partition(".")
    return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def generation(gpu: GpuSpec) -> int:
    """9 for every card of compute capability 9.x; 0 where it is no CUDA card."""
    capability = compute_capability(gpu)
    return capability[0] if capability else 0


def max_num_batched_tokens(gpu: GpuSpec, engine: EngineArgs, release: Release) -> int:
    """Tokens in one forward pass: the user's, or vLLM's server default for the card."""
    if engine.max_num_batched_tokens:
        return engine.max_num_batched_tokens
    size = visible_bytes(gpu)
    if release.huge_cards and size >= HUGE_CARD_BYTES:
        return 16384
    return 8192 if _is_large(gpu, size) else 2048


def max_num_seqs(gpu: GpuSpec, engine: EngineArgs, release: Release) -> int:
    """Requests in one forward pass: the user's, or vLLM's server default for the card."""
    if engine.max_num_seqs:
        return engine.max_num_seqs
    default = 1024 if _is_large(gpu, visible_bytes(gpu)) else 256
    return min(default, max_num_batched_tokens(gpu, engine, release))


def _is_large(gpu: GpuSpec, size: int) -> bool:
    return size >= LARGE_CARD_BYTES and "A100" not in gpu.name
