"""The activation peak of vLLM's profiling run: one batch of ``max_num_batched_tokens`` through
the model, then a sample for ``max_num_seqs`` requests (vllm/v1/worker/gpu/model_runner.py,
``profile_run``). Attention itself is skipped there, so that no length of context shows up.

A layer's numbers are values of 16 bits for one token. What runs one after the other shares its
memory, so the peak is the largest of the phases below; only the experts' workspace, which vLLM
keeps once it has it, stands beside the phases that come after it.
"""

from functools import lru_cache
from typing import NamedTuple

from skyserve_llm.planner.memory.releases import Release
from skyserve_llm.planner.memory.weights import kv_shards
from skyserve_llm.types import ModelSpec

LATENT_CONTEXT_TOKENS = 64 * 1024
LATENT_CONTEXT_REQUESTS = 8
LATENT_CONTEXT_BLOCKS = 4
"""MLA expands the latents of earlier chunks for so many tokens at once: 8 requests at their
longest or 4 blocks each, and no more than 64 Ki (vllm/model_executor/layers/attention/
mla_attention.py, ``determine_chunked_prefill_workspace_size``)."""


class Batch(NamedTuple):
    """What the profiling run is made for."""

    max_num_batched_tokens: int
    max_num_seqs: int
    max_model_len: int
    block_size: int
    compiled: bool


class ActivationPhases(NamedTuple):
    """Bytes on one rank of each phase that may be the peak, and of what stays beside them.

    ``vision`` comes first, ``dense_mlp`` before any expert; ``attention``, ``experts`` and
    ``sampler`` come with ``expert_workspace`` beside them; ``kernel_trials`` is while the model is
    compiled.
    """

    vision: int
    dense_mlp: int
    attention: int
    experts: int
    sampler: int
    expert_workspace: int
    kernel_trials: int

    @property
    def peak(self) -> int:
        beside = self.expert_workspace + max(self.attention, self.experts, self.sampler)
        return max(self.vision, self.dense_mlp, beside, self.kernel_trials)


@lru_cache(maxsize=1024)
def activation_phases(
    model: ModelSpec, generation: int, tensor_parallel_size: int, batch: Batch, release: Release
) -> ActivationPhases:
    """Every phase of the profiling run on cards of ``generation`` (9: compute capability 9.x).

    Held against vLLM 0.24 on an H200 (Llama-3.1-8B, DeepSeek-V2-Lite, phi-2, Mixtral, gpt-oss;
    16,384 and 2,048 tokens) and 0.11 on H100s (llm-d-planner's table): within 0.25 GiB of each,
    what lies outside PyTorch included.
    """
    wide, size, hidden = model.dimensions, tensor_parallel_size, model.hidden_size
    token = 2 * batch.max_num_batched_tokens
    # Compiled, a layer's piece of the graph has its inputs (the residual stream and what attention
    # gave) alive to its end, beside the new residual; eagerly the residual is added to in place.
    standing = 2 * hidden + wide.output / size if batch.compiled else hidden
    dense = standing + wide.mlp / size if wide.mlp else 0
    experts, workspace = 0.0, 0.0
    if wide.expert:
        experts = standing + 2 * hidden + wide.shared / size
        inside, workspace = _expert_products(model, generation, size)
        experts += inside
    return ActivationPhases(
        vision=_vision(model, size, batch),
        dense_mlp=round(dense * token),
        attention=round(_attention(model, size, batch) * token)
        + _latent_context(model, size, batch),
        experts=round(experts * token),
        sampler=_sampler(model, size, batch, release),
        expert_workspace=round(workspace * token),
        kernel_trials=_kernel_trials(model, size, batch, release),
    )


def _vision(model: ModelSpec, size: int, batch: Batch) -> int:
    """The tower on as many of the largest images as fill a batch, one at least
    (vllm/multimodal/encoder_budget.py)."""
    wide = model.dimensions
    if not wide.image_tokens:
        return 0
    tokens = max(batch.max_num_batched_tokens // wide.image_tokens, 1) * wide.image_tokens
    return round(tokens * (wide.image_hidden + wide.image_inner / size) * 2)


def _attention(model: ModelSpec, size: int, batch: Batch) -> float:
    """The residual, the projections' result, and attention's; compiled, queries and keys are
    turned into new places and the residual stands twice (MLA turns only a small part)."""
    wide, hidden = model.dimensions, model.hidden_size
    projected = wide.query / size + wide.key_value / kv_shards(model, size) + wide.output / size
    if not batch.compiled:
        return hidden + projected
    turned = wide.key_value / kv_shards(model, size) / 2
    return 2 * hidden + projected + turned + (0 if wide.latent_rank else wide.query / size)


def _expert_products(model: ModelSpec, generation: int, size: int) -> tuple[float, float]:
    """(what lives only inside the experts' kernel, the workspace that is kept).

    Gate and up of all routed experts, and their product, neither narrower than the model
    (``TritonExperts.workspace_shapes``; Marlin's and DeepGEMM's are the same). The kernels for
    MXFP4 of Hopper's and Blackwell's large cards take what they need by themselves.
    """
    inner, hidden = model.dimensions.expert / size, model.hidden_size
    routed = model.num_experts_per_tok
    mxfp4 = model.quantization is not None and model.quantization.method == "mxfp4"
    if mxfp4 and generation in (9, 10):
        return routed * (3 * inner + hidden), 0.0
    return 0.0, routed * (max(inner, hidden) + max(2 * inner, hidden))


def _latent_context(model: ModelSpec, size: int, batch: Batch) -> int:
    tokens = min(
        max(
            LATENT_CONTEXT_REQUESTS * batch.max_model_len,
            LATENT_CONTEXT_BLOCKS * batch.max_num_seqs * batch.block_size,
        ),
        LATENT_CONTEXT_TOKENS,
    )
    return round(tokens * model.dimensions.latent_context / size * 2)


def _sampler(model: ModelSpec, size: int, batch: Batch, release: Release) -> int:
    """Logits of every request, and what the sampler makes of them; gathered from all ranks."""
    second = release.runs_second(model.architecture)
    held = release.second_sampler_bytes if second else release.sampler_bytes
    if size > 1:
        held += 2 / size
    return round(batch.max_num_seqs * model.vocab_size * held)


def _kernel_trials(model: ModelSpec, size: int, batch: Batch, release: Release) -> int:
    """Compiling tries fused kernels out on random copies of what they read, and the first one
    reads the embedding (vllm/config/compilation.py, ``benchmark_combo_kernel``; torch/_inductor,
    ``rand_strided``). Where there is a vision tower the embedding is looked up outside.

    Shows where nothing else is large: Llama-3.1-8B with 2,048 tokens, vLLM 0.24.
    """
    if not (batch.compiled and release.benchmarks_kernels) or model.parameters.vision:
        return 0
    embedding = model.parameters.embedding / size * 2
    return round(embedding + 2 * model.hidden_size * 2 * batch.max_num_batched_tokens)
