"""GPU facts: what each card holds and how fast it is.

Reads ``pricing/gpus.csv``, the one place a card's memory comes from: price tables are known to
be wrong about it. Knows nothing of prices or clouds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyserve_llm.sources.data import pricing_dir, read_table, reject
from skyserve_llm.types import GpuSpec

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    "name",
    "memory_mib",
    "bandwidth_gb_s",
    "fp16_tflops",
    "fp8_tflops",
    "bf16",
    "compute_capability",
    "link",
    "link_gb_s",
    "source",
    "verified",
)


def load_gpus(path: Path | None = None) -> dict[str, GpuSpec]:
    """Every known GPU by name.

    Memory in MiB as the driver reports it, bandwidth in GB/s (1e9), compute in dense TFLOP/s,
    link in GB/s per GPU and direction; an empty cell is None, unknown. Raises DataError for a
    broken row.
    """
    path = path or pricing_dir() / "gpus.csv"
    gpus = {}
    for row in read_table(path, COLUMNS):
        spec = _spec(path, row)
        if spec.name in gpus:
            reject(path, row, "name", spec.name, "stands in the table twice")
        gpus[spec.name] = spec
    return gpus


def _spec(path: Path, row: list[str]) -> GpuSpec:
    cell = dict(zip(COLUMNS, row, strict=True))
    if not cell["memory_mib"].isdecimal() or not int(cell["memory_mib"]):
        reject(path, row, "memory_mib", cell["memory_mib"], "is not a whole number of MiB")
    if cell["bf16"] not in ("0", "1"):
        reject(path, row, "bf16", cell["bf16"], "is neither 0 nor 1")
    for column in ("name", "compute_capability"):
        if not cell[column]:
            reject(path, row, column, "", "must not be empty")
    return GpuSpec(
        name=cell["name"],
        memory_mib=int(cell["memory_mib"]),
        bandwidth_gb_s=_number(path, row, "bandwidth_gb_s"),
        fp16_tflops=_number(path, row, "fp16_tflops"),
        fp8_tflops=_number(path, row, "fp8_tflops"),
        bf16=cell["bf16"] == "1",
        compute_capability=cell["compute_capability"],
        link=cell["link"],
        link_gb_s=_number(path, row, "link_gb_s"),
    )


def _number(path: Path, row: list[str], column: str) -> float | None:
    text = row[COLUMNS.index(column)]
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        reject(path, row, column, text, "is not a positive number")
    return number
