"""The KV cache as vLLM lays it out: groups of layers that draw blocks from one pool.

A pool's block holds ``block_size`` tokens of every layer of one group; layers of different kinds
form groups of as many layers each, so that a block serves any of them. A request takes blocks of
each group: full attention for all its tokens, a sliding window for those it still sees and those
in flight, a state-space layer a fixed number (vllm/v1/core/kv_cache_utils.py,
``get_kv_cache_groups``; vllm/v1/kv_cache_interface.py). Held against vLLM's own functions for
every bundled model (tests/planner/memory/vllm_points.csv). All sizes are bytes on one rank.
"""

from functools import lru_cache
from math import ceil
from typing import Literal, NamedTuple

from skyserve_llm.types import AttentionLayers, ModelSpec

BLOCK_SIZE = 16
"""Tokens in a block: vLLM's default on CUDA."""

HYBRID_LATENT_ALIGNMENT = 128
"""Blocks of a model with both a latent cache and states (vllm/platforms/interface.py)."""

PACKED_LATENT_BYTES = 656
"""A latent of 512 + 64 values in DeepSeek's own 8-bit format, ``fp8_ds_mla``."""

STATE_BLOCKS = 2
"""Blocks a request has of a state-space group: vLLM caches prefixes of such models by default,
which keeps the last state beside the running one (``mamba_cache_mode`` "align"). vLLM 0.24 logged
4.33x for Qwen3.6-35B-A3B with fp8 KV: 299 blocks, 69 a request; with one state it were 66."""

SMALL_DIFFERENCE = 1.5
"""Where kinds of layers differ in number by less, the groups are as large as the larger
(``_get_kv_cache_groups_uniform_page_size``)."""

Kind = Literal["full", "sliding", "chunked", "state"]


class BlockTable(NamedTuple):
    """``tables`` groups of layers of one kind, each with a block table of its own."""

    kind: Kind
    tables: int
    block_size: int
    window: int = 0

    def blocks(self, tokens: int, in_flight: int) -> int:
        """Blocks that a request of ``tokens`` takes of these groups.

        A sliding layer keeps its window and the tokens in flight, and one block more for where
        the window starts (``SlidingWindowSpec.max_admission_blocks_per_request``).
        """
        if self.kind == "state":
            return self.tables * STATE_BLOCKS
        extra = 0
        if self.kind == "sliding":
            tokens, extra = min(self.window - 1 + in_flight, tokens), 1
        elif self.kind == "chunked":
            tokens = min(self.window + in_flight, tokens)
        return self.tables * (-(-tokens // self.block_size) + extra)


class KvLayout(NamedTuple):
    """One rank's pool: what a block of it weighs, and how requests draw on it."""

    block_bytes: int
    tables: tuple[BlockTable, ...]
    in_flight: int

    def blocks(self, tokens: int) -> int:
        return sum(table.blocks(tokens, self.in_flight) for table in self.tables)

    def request_bytes(self, tokens: int) -> int:
        """What one request of ``tokens`` takes at its longest."""
        return self.blocks(tokens) * self.block_bytes

    def capacity(self, kv_cache_bytes: int, max_model_len: int) -> tuple[int, float]:
        """("GPU KV cache size" in tokens, "Maximum concurrency" at ``max_model_len``).

        vLLM counts in requests of ``max_model_len`` and multiplies back, so that the number of
        tokens depends on it wherever a window or a state does (``get_kv_cache_capacity``).
        """
        concurrency = max(0, kv_cache_bytes) // self.block_bytes / self.blocks(max_model_len)
        return int(concurrency * max_model_len), concurrency

    def holds(self, kv_cache_bytes: int, requests: int, tokens: int) -> bool:
        return kv_cache_bytes >= self.needed_bytes(requests, tokens)

    def needed_bytes(self, requests: int, tokens: int) -> int:
        """What ``requests`` of ``tokens`` take, and the block that vLLM keeps to itself."""
        return (requests * self.blocks(tokens) + 1) * self.block_bytes

    def longest(self, kv_cache_bytes: int, limit: int) -> int | None:
        """The longest request of at most ``limit`` tokens that fits; None where none does."""
        if not self.holds(kv_cache_bytes, 1, 1):
            return None
        low, high = 1, limit
        while low < high:
            middle = (low + high + 1) // 2
            if self.holds(kv_cache_bytes, 1, middle):
                low = middle
            else:
                high = middle - 1
        return low


class _Layers(NamedTuple):
    """Layers of one kind on a rank: what a token (or, of a state, a request) takes in one."""

    kind: Kind
    layers: int
    unit_bytes: int
    window: int = 0


@lru_cache(maxsize=256)
def kv_layout(
    model: ModelSpec,
    tensor_parallel_size: int,
    pipeline_parallel_size: int = 1,
    *,
    eight_bits: bool = False,
    block_size: int | None = None,
    in_flight: int = 0,
) -> KvLayout:
    """The pool of one rank of the fullest stage; ``in_flight`` tokens are not settled yet."""
    layers = [
        _on_rank(model, group, tensor_parallel_size, pipeline_parallel_size, eight_bits)
        for group in model.attention
    ]
    size = block_size or BLOCK_SIZE
    states = [group for group in layers if group.kind == "state"]
    attention = [group for group in layers if group.kind != "state"]
    if not attention:
        return _states_alone(states, in_flight)
    if states:
        size = _hybrid_block_size(model, states, attention, size)
    elif len({(group.kind, group.window) for group in attention}) == 1:
        # All layers need the same slots: one group, whatever their widths.
        block = size * sum(group.layers * group.unit_bytes for group in attention)
        one = attention[0]
        return KvLayout(block, (BlockTable(one.kind, 1, size, one.window),), in_flight)
    return _grouped(attention, states, size, in_flight)


@lru_cache(maxsize=256)
def token_bytes(
    model: ModelSpec,
    tensor_parallel_size: int,
    pipeline_parallel_size: int = 1,
    *,
    eight_bits: bool = False,
) -> int:
    """What one more token takes on one rank while no sliding window is full."""
    groups = (
        _on_rank(model, group, tensor_parallel_size, pipeline_parallel_size, eight_bits)
        for group in model.attention
    )
    return sum(group.layers * group.unit_bytes for group in groups if group.kind != "state")


def _on_rank(
    model: ModelSpec, group: AttentionLayers, size: int, stages: int, eight_bits: bool
) -> _Layers:
    layers = -(-group.layers // stages)
    element = 1 if eight_bits else 2
    if group.kind == "state":
        values = (group.state_values - group.wide_values) * 2 + group.wide_values * 4
        return _Layers("state", layers, -(-values // size))
    if group.kind == "index":
        return _Layers("full", layers, group.latent_dim)
    if group.kind == "mla":
        sparse = any(other.kind == "index" for other in model.attention)
        packed = PACKED_LATENT_BYTES if sparse and eight_bits else group.latent_dim * element
        return _Layers("full", layers, packed)
    heads = max(1, group.kv_heads // size)
    return _Layers(group.kind, layers, 2 * heads * group.head_dim * element, group.window)


def _states_alone(states: list[_Layers], in_flight: int) -> KvLayout:
    block = sum(group.layers * group.unit_bytes for group in states)
    return KvLayout(max(1, block), (BlockTable("state", 1, 1),), in_flight)


def _hybrid_block_size(
    model: ModelSpec, states: list[_Layers], attention: list[_Layers], size: int
) -> int:
    """Tokens in a block so large that a page of attention holds a state
    (``Platform._align_hybrid_block_size``)."""
    alignment = max(size, BLOCK_SIZE)
    if any(group.kind == "mla" for group in model.attention):
        alignment = max(alignment, HYBRID_LATENT_ALIGNMENT)
    state = max(group.unit_bytes for group in states)
    token = attention[0].unit_bytes
    return max(size, alignment * ceil(state / (alignment * token)))


def _grouped(
    attention: list[_Layers], states: list[_Layers], size: int, in_flight: int
) -> KvLayout:
    """Kinds of layers brought to one page size, and into groups of as many layers."""
    page = max(size * group.unit_bytes for group in attention)
    fewest = min(group.layers for group in (*attention, *states))
    most = max(group.layers for group in (*attention, *states))
    in_group = most if most < SMALL_DIFFERENCE * fewest else fewest
    tables, widest = [], 1
    for group in (*attention, *states):
        number = -(-group.layers // in_group)
        widest = max(widest, -(-group.layers // number))
        block_size = size
        if group.kind != "state":
            own = size * group.unit_bytes
            # A smaller page holds more tokens; where that leaves a rest it is padded.
            block_size = size * (page // own) if page % own == 0 else size
        tables.append(BlockTable(group.kind, number, block_size, group.window))
    return KvLayout(page * widest, tuple(tables), in_flight)
