"""The raw tables as they come: their columns, and nothing decided about any value."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from skyserve_llm.sources.data import read_table

if TYPE_CHECKING:
    from pathlib import Path

OFFER_COLUMNS = (
    "cloud",
    "instance_type",
    "acc",
    "count",
    "vcpus",
    "mem_gib",
    "region",
    "zone",
    "price",
    "spot",
    "source",
    "asof",
)
GPU_COLUMNS = (
    "name",
    "driver_mib",
    "driver_src",
    "spec_gb",
    "mem_bw_gbs",
    "fp16_dense_tflops",
    "bf16_native",
    "fp8_dense_tflops",
    "fp4_dense_tflops",
    "cc",
    "link_per_gpu_gbs_1dir",
    "link",
    "facts_src",
    "verified",
)


class RawOffer(NamedTuple):
    """A machine in a place with its on-demand ``price`` and its ``spot`` price, USD an hour.

    Either may be empty. ``mem_gib`` is the host's, and wrong on some clouds: not used.
    ``gpu_mib`` is what one GPU holds, where the source says so, to tell cards apart by.
    """

    cloud: str
    instance_type: str
    acc: str
    gpu_count: str
    vcpus: str
    mem_gib: str
    region: str
    zone: str
    price: str
    spot: str
    source: str
    asof: str
    gpu_mib: int | None = None


class RawGpu(NamedTuple):
    """A card's facts: ``driver_mib`` as its driver reports it, bandwidth GB/s, dense TFLOP/s."""

    name: str
    driver_mib: str
    driver_src: str
    spec_gb: str
    mem_bw_gbs: str
    fp16_dense_tflops: str
    bf16_native: str
    fp8_dense_tflops: str
    fp4_dense_tflops: str
    cc: str
    link_per_gpu_gbs_1dir: str
    link: str
    facts_src: str
    verified: str


def read_offers(path: Path) -> list[RawOffer]:
    """Raises DataError where the file is missing or has other columns."""
    return [RawOffer._make((*row, None)) for row in read_table(path, OFFER_COLUMNS)]


def read_gpus(path: Path) -> list[RawGpu]:
    """Raises DataError where the file is missing or has other columns."""
    return [RawGpu._make(row) for row in read_table(path, GPU_COLUMNS)]
