"""How well is memory estimated? Beside what vLLM logged, and beside two rules of thumb.

Without an argument the shipped points (``data/memory_points.csv``); with a folder, all points in
its raw files. For each point: weights, what is taken beside weights and KV cache, and tokens of KV
cache, estimated and logged; then the same from ``accelerate estimate-memory`` (the weights at
their dtype, nothing else) and from weights x 1.2. Prints one table; ``--json FILE`` writes it.

    python benchmarks/memory_accuracy.py [FOLDER] [--json FILE]
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.points import Point, shipped_points
from benchmarks.points.folder import folder_points
from skyserve_llm.planner.memory import Account, account, estimate_memory
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.hub import load_model
from skyserve_llm.types import EngineArgs, ModelSpec, Quantization
from skyserve_llm.units import GIB

STORED = {
    "fp8": Quantization("fp8", 8),
    "fbgemm_fp8": Quantization("fbgemm_fp8", 8, skips_attention=True),
    "awq": Quantization("awq", 4, 128),
    "gptq": Quantization("gptq", 4, 128),
    "compressed-tensors": Quantization("compressed-tensors", 8),
    "modelopt_fp4": Quantization("modelopt_fp4", 4, 16),
    "bitsandbytes": Quantization("bitsandbytes", 4, 64),
    "mxfp4": Quantization("mxfp4", 4, 32, experts_only=True),
}
"""What a row means that names a quantization beside a model we have in 16 bits."""


class Row(NamedTuple):
    """One point; errors are relative for weights and tokens, GiB for what lies beside."""

    id: str
    model: str
    states_flags: bool
    weights_gib: float | None
    weights_error: float | None
    beside_gib: float | None
    beside_error_gib: float | None
    in_band: bool | None
    kv_tokens: int | None
    kv_error: float | None
    kv_error_of_logged_bytes: float | None
    accelerate_kv_error: float | None
    times_1_2_kv_error: float | None


def compare(point: Point) -> Row:
    model = load_model(point.model)
    if point.quantization:
        model = model._replace(quantization=STORED[point.quantization])
    engine = EngineArgs(
        gpu_memory_utilization=point.gpu_memory_utilization or 0.92,
        max_num_batched_tokens=point.max_num_batched_tokens,
        max_num_seqs=point.max_num_seqs,
        kv_cache_dtype=point.kv_cache_dtype,
        enforce_eager=point.enforce_eager,
        pipeline_parallel_size=point.pipeline_parallel_size,
        vllm_version=point.vllm_version,
    )
    gpu = load_gpus()[point.gpu]
    parts = account(model, gpu, engine, point.tensor_parallel_size, point.max_model_len)
    if point.gpu_total_gib:
        capacity = int(point.gpu_total_gib * GIB * engine.gpu_memory_utilization)
        parts = parts._replace(capacity=capacity)
    memory = estimate_memory(model, parts)
    beside = (memory.activation_bytes + memory.overhead_bytes) / GIB
    logged, length = _logged_tokens(point, parts), parts.batch.max_model_len
    tokens = of_bytes = None
    if point.states_flags:
        tokens, _ = parts.layout.capacity(memory.kv_cache_bytes, length)
    if point.kv_cache_gib and point.kv_tokens:
        of_bytes, _ = parts.layout.capacity(int(point.kv_cache_gib * GIB), length)
    naive = _naive_weights(model, point)
    rough = [_rough_tokens(parts, naive * share) for share in (1.0, 1.2)]
    low, high = memory.kv_cache_low_bytes / GIB, memory.kv_cache_high_bytes / GIB
    return Row(
        id=point.id,
        model=point.model,
        states_flags=point.states_flags,
        weights_gib=point.weights_gib,
        weights_error=_relative(memory.weights_bytes / GIB, point.weights_gib),
        beside_gib=_rounded(point.beside_gib),
        beside_error_gib=None if point.beside_gib is None else round(beside - point.beside_gib, 3),
        in_band=low <= point.kv_cache_gib <= high
        if point.kv_cache_gib and point.states_flags
        else None,
        kv_tokens=logged,
        kv_error=_relative(tokens, logged),
        kv_error_of_logged_bytes=_relative(of_bytes, point.kv_tokens),
        accelerate_kv_error=_relative(rough[0], logged) if point.states_flags else None,
        times_1_2_kv_error=_relative(rough[1], logged) if point.states_flags else None,
    )


def _logged_tokens(point: Point, parts: Account) -> int | None:
    """Tokens as logged; where only GiB were, what vLLM makes of them."""
    if point.kv_tokens is not None or point.kv_cache_gib is None:
        return point.kv_tokens
    tokens, _ = parts.layout.capacity(int(point.kv_cache_gib * GIB), parts.batch.max_model_len)
    return tokens


def _naive_weights(model: ModelSpec, point: Point) -> float:
    """Parameters times the bytes of the dtype, over all GPUs: ``accelerate estimate-memory``."""
    bits = model.quantization.bits if model.quantization else 16
    return model.parameters.total * bits / 8 / point.tensor_parallel_size


def _rough_tokens(parts: Account, taken: float) -> float:
    return max(0.0, parts.capacity - taken) / parts.token_bytes if parts.token_bytes else 0.0


def _relative(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else round(ours / theirs - 1, 4)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def summary(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Median and worst of every error, over rows that state their flags where it needs them."""
    sound = [row for row in rows if row.states_flags]
    errors = {
        "weights": [row.weights_error for row in rows],
        "beside, GiB": [row.beside_error_gib for row in sound],
        "KV tokens": [row.kv_error for row in sound],
        "KV tokens of the logged bytes": [row.kv_error_of_logged_bytes for row in rows],
        "KV tokens, accelerate": [row.accelerate_kv_error for row in sound],
        "KV tokens, weights x 1.2": [row.times_1_2_kv_error for row in sound],
    }
    known = {name: [abs(e) for e in found if e is not None] for name, found in errors.items()}
    return {
        name: {"rows": len(found), "median": median(found), "worst": max(found)}
        for name, found in known.items()
        if found
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="a folder of raw measurements")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    points, left_out = folder_points(options.folder) if options.folder else (shipped_points(), [])
    rows = [compare(point) for point in points]
    head = (
        "point",
        "weights",
        "beside GiB",
        "err GiB",
        "KV err",
        "of bytes",
        "accelerate",
        "x 1.2",
    )
    print("{:<34}{:>9}{:>12}{:>9}{:>9}{:>10}{:>12}{:>9}".format(*head))
    for row in rows:
        cells = [_percent(row.weights_error), _plain(row.beside_gib), _plain(row.beside_error_gib)]
        cells += [_percent(row.kv_error), _percent(row.kv_error_of_logged_bytes)]
        cells += [_percent(row.accelerate_kv_error), _percent(row.times_1_2_kv_error)]
        mark = "" if row.states_flags else " *"
        print("{:<34}{:>9}{:>12}{:>9}{:>9}{:>10}{:>12}{:>9}".format(row.id[:31] + mark, *cells))
    print("* does not state all its flags: weights, and tokens of the logged bytes, only")
    totals = summary(rows)
    print(f"\n{'error':<34}{'rows':>6}{'median':>10}{'worst':>10}")
    for name, found in totals.items():
        show = _plain if "GiB" in name else _percent
        print(f"{name:<34}{found['rows']:>6}{show(found['median']):>10}{show(found['worst']):>10}")
    for line in left_out:
        print(f"left out: {line}")
    if options.json:
        document = {
            "rows": [row._asdict() for row in rows],
            "summary": totals,
            "left_out": left_out,
        }
        options.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}"


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
