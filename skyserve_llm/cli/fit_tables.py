"""A fit as a table: the wording and layout of `fit`, in the words of vLLM's own log."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from skyserve_llm.cli.tables import model_lines
from skyserve_llm.planner.fit import Fit
from skyserve_llm.units import gib


def fit_report(found: Fit) -> Iterator[Table | Text]:
    """The model, the card, and each line that vLLM would log."""
    yield model_lines(found.model, found.workload)
    yield Text(_where(found))
    table = Table.grid(padding=(0, 2))
    for name, value in _lines(found):
        table.add_row(name, value)
    yield table


def _where(found: Fit) -> str:
    text = f"{found.gpu}:{found.gpu_count}"
    if found.pipeline_parallel_size > 1:
        text += f" in {found.pipeline_parallel_size} stages of {found.tensor_parallel_size}"
    stored = found.quantization or "16 bits"
    if found.altered:
        stored += f" ({found.altered})"
    if found.weight_only:
        stored += ", stored so and computed in 16 bits"
    return f"on        {text}, weights in {stored}, as vLLM {found.engine_args.vllm_version}"


def _lines(found: Fit) -> Iterator[tuple[str, str]]:
    if found.memory is None:
        yield "fits", f"no: {found.reason}"
        return
    memory, length = found.memory, found.workload.max_model_len
    yield "usable of each GPU", gib(memory.per_gpu_capacity_bytes)
    yield "model loading takes", gib(memory.weights_bytes)
    yield "activation peak", gib(memory.activation_bytes)
    yield "beside them", gib(memory.overhead_bytes)
    low, high = gib(memory.kv_cache_low_bytes), gib(memory.kv_cache_high_bytes)
    yield "available KV cache memory", f"{gib(memory.kv_cache_bytes)}  ({low} to {high})"
    yield "GPU KV cache size", f"{found.kv_cache_tokens:,} tokens"
    yield f"maximum concurrency for {length:,} tokens", f"{found.max_concurrency:.2f}x"
    longest = found.max_model_len_that_fits
    yield "largest max_model_len", f"{longest:,} tokens" if longest else "none fits"
    yield "max_num_batched_tokens", f"{found.max_num_batched_tokens:,}"
    yield "max_num_seqs", f"{found.max_num_seqs:,}"
    speed = found.throughput
    if speed is not None and speed.tpot_ms is not None:
        yield "time per output token", f"{speed.tpot_ms:.1f} ms ({speed.basis})"
    if speed is not None and speed.output_tokens_per_s is not None:
        yield "output tokens a second", f"{speed.output_tokens_per_s:,.0f} ({speed.basis})"
    yield "fits", "yes" if found.fits else f"no: {found.reason}"
    for remedy in found.remedies:
        yield "would fit with", remedy
