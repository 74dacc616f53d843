"""What vLLM's own accounting of memory was in which release.

The laws of this package follow vLLM as it was read in the releases below; where they changed
between them, the change stands here and nowhere else. A release between two of them is taken as
the older one. Pure facts.
"""

from functools import lru_cache
from typing import NamedTuple

from skyserve_llm.errors import InputError

SECOND_RUNNER_FIRST = frozenset(
    {
        "Qwen3ForCausalLM", "DeepseekV2ForCausalLM", "Qwen2MoeForCausalLM",
        "GraniteMoeForCausalLM", "LlamaForCausalLM", "MistralForCausalLM",
    }
)  # fmt: skip
"""Architectures that got the second model runner first (vllm 0.24, config/vllm.py)."""


class Release(NamedTuple):
    """One release's accounting.

    ``second_runner`` are the architectures that run on the second model runner (vllm/v1/worker/
    gpu), None all of them. ``sampler_bytes`` is what the first runner's profiling run holds for
    each logit, ``second_sampler_bytes`` the same of the second runner, ``penalty_bytes`` what the
    second runner keeps for each request and token of the vocabulary (PenaltiesState) and counts.
    ``counts_graphs``: whether the room for CUDA graphs is taken from the KV cache.
    ``steps_in_flight``: batches that may be scheduled but not settled. ``benchmarks_kernels``:
    whether compiling tries kernels out, on a copy of what they read. ``huge_cards``: whether cards
    of 160 GiB and more have batch defaults of their own.
    """

    version: tuple[int, int]
    second_runner: frozenset[str] | None
    sampler_bytes: float
    second_sampler_bytes: float
    penalty_bytes: float
    counts_graphs: bool
    steps_in_flight: int
    benchmarks_kernels: bool
    huge_cards: bool

    def runs_second(self, architecture: str) -> bool:
        return self.second_runner is None or architecture in self.second_runner


SORTED_SAMPLER_BYTES = 38.5
"""Top-k and top-p by a full sort: 16-bit logits (2), float32 logits (4), the sort's values and
int64 indices, each with a double (24), softmax and cumulative sum (8), a mask. Fitted on five
rows of vLLM 0.11 (llm-d-planner: 37.9 to 38.9 bytes); a row of the first engine agrees."""

FUSED_SAMPLER_BYTES = 14.0
"""Fused top-k and top-p: 16-bit logits (2), float32 logits (4), the masked copy (4) and its
softmax (4) (v1/sample/ops/topk_topp_sampler.py). gpt-oss-20b on vLLM 0.24 agrees within 1 %."""

RELEASES = (
    Release((0, 0), frozenset(), SORTED_SAMPLER_BYTES, 0, 0, False, 1, False, False),
    # gemma-4-26B-A4B on an A100 tells that the sort was gone by 0.19.
    Release((0, 19), frozenset(), FUSED_SAMPLER_BYTES, 0, 0, False, 1, True, False),
    # "CUDA graph memory profiling is enabled (default since v0.21.0)", vllm's own log line.
    Release((0, 21), frozenset(), FUSED_SAMPLER_BYTES, 0, 0, True, 1, True, False),
    Release((0, 24), SECOND_RUNNER_FIRST, FUSED_SAMPLER_BYTES, 6, 0, True, 1, True, False),
    # The sampler skips what no request asks for: the 16-bit logits are all it holds. Counts of
    # output tokens (int32) and a bit mask of prompt tokens stand for every request.
    Release((0, 32), None, FUSED_SAMPLER_BYTES, 2, 4.125, True, 2, True, True),
)


@lru_cache
def release(version: str) -> Release:
    """The accounting of ``version`` (``0.24.0``, ``v0.11``).

    Raises:
        InputError: the version cannot be read.
    """
    parts = version.removeprefix("v").split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        raise InputError(
            f"{version!r} is not a release of vLLM", hint="write it as 0.32.0 or v0.24"
        )
    wanted = int(parts[0]), int(parts[1])
    return next(known for known in reversed(RELEASES) if known.version <= wanted)
