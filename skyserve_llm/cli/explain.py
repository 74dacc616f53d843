"""The memory arithmetic of one placement, line by line: wording only, the numbers are the
planner's."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from skyserve_llm.planner.memory import Account, estimate_memory, visible_bytes
from skyserve_llm.planner.memory.kv_cache import BlockTable
from skyserve_llm.types import EngineArgs, GpuSpec, ModelSpec
from skyserve_llm.units import MIB, gib

_WEIGHTS = {
    "embedding": "the vocabulary in whole rows of 64, 16 bits",
    "lm_head": "the same once more where it is not tied",
    "attention": "projections; K and V no further split than their heads",
    "mlp": "dense layers and shared experts",
    "experts": "routed experts",
    "replicated": "norms, routers, projections into a latent: whole on every rank",
    "vision": "the vision tower",
    "rope_cache": "cosines and sines for every position",
}
_PHASES = {
    "vision": "the vision tower on the largest images that fill a batch",
    "dense_mlp": "a dense MLP's inner layer for one batch",
    "attention": "queries, keys, values and the residual for one batch",
    "experts": "what stands around the experts for one batch",
    "sampler": "logits of every request, and their copies",
    "expert_workspace": "the experts' own workspace, kept beside what comes after",
    "kernel_trials": "kernels tried out while compiling",
}
_OVERHEAD = {
    "non_torch": "libraries and kernels outside PyTorch",
    "nccl": "communication between the GPUs",
    "cuda_graphs": "room for CUDA graphs",
    "sampler_state": "token counts of every request",
}


def explanation(
    model: ModelSpec, gpu: GpuSpec, engine: EngineArgs, parts: Account
) -> Iterator[Text | Table]:
    """From the card's memory down to the number of tokens, each line with what it is of."""
    memory, batch = estimate_memory(model, parts), parts.batch
    reported, visible = gpu.memory_mib * MIB, visible_bytes(gpu)
    yield Text(f"arithmetic of one {gpu.name} as vLLM {engine.vllm_version} does it", style="bold")
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column()
    table.add_column(overflow="fold")
    rows = [
        (reported, "reported by the driver", f"{gpu.memory_mib:,} MiB"),
        (visible - reported, "kept by the driver", ""),
        (parts.capacity - visible, "left alone",
         f"gpu_memory_utilization {engine.gpu_memory_utilization:g}"),
        (parts.capacity, "= usable", ""),
        *((-size, name, _WEIGHTS[name]) for name, size in _named(parts.weights) if size),
        (-memory.weights_bytes, "= weights", ""),
        *((-size, f"({name})", _PHASES[name]) for name, size in _named(parts.activations) if size),
        (-memory.activation_bytes, "= activation peak",
         f"{batch.max_num_batched_tokens:,} tokens a batch, {batch.max_num_seqs:,} requests; "
         "the largest of the above, the experts' workspace added to those after it"),
        *((-size, name, _OVERHEAD[name]) for name, size in _named(parts.overhead) if size),
        (-memory.overhead_bytes, "= overhead", ""),
        (memory.kv_cache_bytes, "= KV cache",
         f"{gib(memory.kv_cache_low_bytes)} to {gib(memory.kv_cache_high_bytes)}"),
    ]  # fmt: skip
    for size, name, what in rows:
        table.add_row(gib(size), name, what)
    yield table
    yield from _tokens(parts, memory.kv_cache_bytes)


def _tokens(parts: Account, kv_cache_bytes: int) -> Iterator[Text]:
    layout, length = parts.layout, parts.batch.max_model_len
    blocks = max(0, kv_cache_bytes) // layout.block_bytes
    needed = layout.blocks(length)
    tokens, concurrency = layout.capacity(kv_cache_bytes, length)
    tables = " + ".join(_table(table, layout.in_flight, length) for table in layout.tables)
    yield Text(
        f"{blocks:,} blocks of {layout.block_bytes:,} bytes; "
        f"a request of {length:,} tokens takes {needed:,} of them: {tables}\n"
        f"{blocks:,} / {needed:,} = {concurrency:.2f} requests at once, "
        f"x {length:,} = {tokens:,} tokens\n"
    )


def _table(table: BlockTable, in_flight: int, length: int) -> str:
    kinds = {
        "full": f"all tokens in {table.block_size}s",
        "sliding": f"a window of {table.window:,} and {in_flight:,} in flight in "
        f"{table.block_size}s, and one",
        "chunked": f"a chunk of {table.window:,} and {in_flight:,} in flight in "
        f"{table.block_size}s",
        "state": "a state and the one before",
    }
    own = table._replace(tables=1).blocks(length, in_flight)
    return f"{table.tables} x {own:,} ({kinds[table.kind]})"


def _named(parts: tuple[int, ...]) -> list[tuple[str, int]]:
    return list(parts._asdict().items())  # type: ignore[attr-defined]
