"""What vLLM takes of a card beside weights, activations and KV cache."""

from functools import lru_cache
from typing import NamedTuple

from skyserve_llm.planner.memory.activations import Batch
from skyserve_llm.planner.memory.card import MAX_CAPTURED_REQUESTS
from skyserve_llm.planner.memory.releases import Release
from skyserve_llm.types import ModelSpec
from skyserve_llm.units import GIB

NON_TORCH_BYTES = int(0.27 * GIB)
"""Kernels and libraries outside PyTorch: what four rows of vLLM 0.24's second model runner leave
over (Llama-3.1-8B, DeepSeek-V2-Lite; 0.23 to 0.32 GiB)."""

OLD_NON_TORCH_BYTES = int(0.13 * GIB)
"""The same in vLLM 0.11, which logged it: llm-d-planner's rows with one GPU."""

FIRST_RUNNER_BYTES = int(0.18 * GIB)
"""What the first model runner adds to that since the fused sampler: phi-2, Mixtral, gpt-oss on
vLLM 0.24."""

NCCL_BYTES = int(0.42 * GIB)
"""What more than one GPU adds: 0.54 and 0.55 GiB instead of 0.13, llm-d-planner's rows with
tensor_parallel_size 2."""

GRAPH_BYTES = int(0.10 * GIB)
SECOND_RUNNER_GRAPH_BYTES = int(0.35 * GIB)
"""CUDA graphs beside what attention splits hold. The first runner estimates it from two captures
(Mixtral AWQ 0.35 GiB, Mixtral 0.67 together with the splits), the second captures all of them
(Llama-3.1-8B took 0.59 and 0.99 GiB, DeepSeek-V2-Lite 0.89 and 1.20, with 256 and 512 requests)."""

ATTENTION_SPLITS = 32
"""A decoding step's attention may be split in so many parts, each with a float32 result of its
own (``flash_attn_max_num_splits_for_cuda_graph``): on Hopper, whose kernels plan ahead. Held
twice, by the warm-up and by the graph."""


class Overhead(NamedTuple):
    """Bytes on one rank."""

    non_torch: int
    nccl: int
    cuda_graphs: int
    sampler_state: int


@lru_cache(maxsize=1024)
def overhead(
    model: ModelSpec, generation: int, ranks: int, tensor_parallel_size: int, batch: Batch,
    release: Release,
) -> Overhead:  # fmt: skip
    """All that is taken whether or not a request runs; ``ranks`` GPUs of ``generation`` (9:
    compute capability 9.x) work on one replica."""
    second = release.runs_second(model.architecture)
    libraries = NON_TORCH_BYTES if release.benchmarks_kernels else OLD_NON_TORCH_BYTES
    if release.benchmarks_kernels and not second:
        libraries += FIRST_RUNNER_BYTES
    state = release.penalty_bytes if second else 0.0
    return Overhead(
        non_torch=libraries,
        nccl=NCCL_BYTES if ranks > 1 else 0,
        cuda_graphs=_cuda_graphs(model, generation, tensor_parallel_size, batch, release),
        sampler_state=round(state * batch.max_num_seqs * model.vocab_size),
    )


def _cuda_graphs(
    model: ModelSpec, generation: int, size: int, batch: Batch, release: Release
) -> int:
    if not (batch.compiled and release.counts_graphs):
        return 0
    second = release.runs_second(model.architecture)
    if second and release.second_runner is not None:
        return 0  # its first releases did not estimate them (``profile_cudagraph_memory``)
    fixed = SECOND_RUNNER_GRAPH_BYTES if second else GRAPH_BYTES
    if generation != 9:
        return fixed
    wide = model.dimensions
    heads = wide.output
    if wide.latent_rank and wide.latent_context:  # MLA decodes in the latent's own width
        heads = model.num_attention_heads * wide.latent_rank
    requests = min(batch.max_num_seqs, MAX_CAPTURED_REQUESTS)
    return fixed + round(2 * ATTENTION_SPLITS * requests * heads / size * 4)
