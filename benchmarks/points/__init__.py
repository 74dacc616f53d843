"""Measured points of GPU memory: one row a start of vLLM, and what its log said.

``data/memory_points.csv`` is the shipped table; any folder with the raw files it was made from
(``measured_memory.csv``, ``measured_*.jsonl``) reads the same. Sizes are GiB as vLLM rounds them.
"""

import csv
from pathlib import Path
from typing import NamedTuple

SHIPPED = Path(__file__).parent.parent / "data" / "memory_points.csv"


class Point(NamedTuple):
    """One start of vLLM; None where it was not stated.

    ``states_flags`` where all that decides about the KV cache is known.
    """

    id: str
    model: str
    quantization: str | None
    vllm_version: str
    gpu: str
    gpu_total_gib: float | None
    tensor_parallel_size: int
    pipeline_parallel_size: int
    gpu_memory_utilization: float | None
    max_model_len: int | None
    max_num_batched_tokens: int | None
    max_num_seqs: int | None
    kv_cache_dtype: str
    enforce_eager: bool
    weights_gib: float | None
    kv_cache_gib: float | None
    kv_tokens: int | None
    max_concurrency: float | None
    states_flags: bool
    source: str

    @property
    def beside_gib(self) -> float | None:
        """What vLLM took beside weights and KV cache."""
        known = (
            self.gpu_total_gib, self.gpu_memory_utilization, self.weights_gib, self.kv_cache_gib,
        )  # fmt: skip
        if None in known:
            return None
        total, share, weights, kv = known
        return total * share - weights - kv  # type: ignore[operator]


def shipped_points(path: Path = SHIPPED) -> list[Point]:
    """The rows of the shipped table."""
    with path.open(newline="", encoding="utf-8") as lines:
        return [_point(row) for row in csv.DictReader(lines)]


def _point(row: dict[str, str]) -> Point:
    def number(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    def whole(name: str) -> int | None:
        return int(row[name]) if row[name] else None

    return Point(
        id=row["id"],
        model=row["model"],
        quantization=row["quantization"] or None,
        vllm_version=row["vllm_version"],
        gpu=row["gpu"],
        gpu_total_gib=number("gpu_total_gib"),
        tensor_parallel_size=whole("tensor_parallel_size") or 1,
        pipeline_parallel_size=whole("pipeline_parallel_size") or 1,
        gpu_memory_utilization=number("gpu_memory_utilization"),
        max_model_len=whole("max_model_len"),
        max_num_batched_tokens=whole("max_num_batched_tokens"),
        max_num_seqs=whole("max_num_seqs"),
        kv_cache_dtype=row["kv_cache_dtype"],
        enforce_eager=row["enforce_eager"] == "1",
        weights_gib=number("weights_gib"),
        kv_cache_gib=number("kv_cache_gib"),
        kv_tokens=whole("kv_tokens"),
        max_concurrency=number("max_concurrency"),
        states_flags=row["states_flags"] == "1",
        source=row["source"],
    )
