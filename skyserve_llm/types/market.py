"""What can be rented, at which price, and which of it may be used."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple


class GpuSpec(NamedTuple):
    """A card's physical facts. ``None`` is unknown; nothing is inferred from the name."""

    name: str
    memory_mib: int
    bandwidth_gb_s: float | None
    fp16_tflops: float | None
    fp8_tflops: float | None
    bf16: bool
    compute_capability: str
    link: str
    link_gb_s: float | None


MARKS = {
    "spot_above_on_demand": "spot above on-demand of the same machine in the same place",
    "below_market": "on-demand under 60 % of the GPU's median over clouds",
    "off_market": "more than 10x away from the GPU's on-demand median over clouds",
    "reservation": "GCP on-demand at the lower of two levels: likely a reservation price",
    "spot_floor": "undated spot under 15 % of on-demand, near the clouds' own floor",
    "local_zone": "AWS Local Zone: to be enabled first, and on-demand is the parent region's price",
    "disputed": "another source asks more for the same machine",
    "undated": "it is not known when the price was true",
}
"""What may be wrong with a price, the gravest first (``sources/suspicion.py`` finds it)."""

SUSPECT_MARKS = frozenset(MARKS) - {"disputed", "undated"}
"""Marks of a price that is never chosen silently; the other two only tell."""


class Offer(NamedTuple):
    """One price: an instance type in one place, spot or on-demand.

    ``accelerator`` is the GPU's name in that cloud's SkyPilot catalog, ``gpu`` ours.
    ``zone`` is None where the cloud prices by region, ``as_of`` None where the date is unknown.
    ``marks`` say what is wrong with the price, if anything is known to be.
    """

    cloud: str
    region: str
    zone: str | None
    instance_type: str
    gpu: str
    accelerator: str
    gpu_count: int
    spot: bool
    price_per_hour: Decimal
    as_of: date | None
    source: str
    marks: tuple[str, ...] = ()

    @property
    def suspect(self) -> bool:
        return not SUSPECT_MARKS.isdisjoint(self.marks)


class Rate(NamedTuple):
    """What a cloud charges beside compute, each with the date it was true."""

    cloud: str
    disk_gib_month: Decimal | None
    egress_gib: Decimal | None
    controller_hour: Decimal | None
    as_of: date | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuRequest:
    """``--gpus L4:1``: a GPU by name and, where given, an exact count."""

    name: str
    count: int | None = None


class Market(NamedTuple):
    """Which offers may be used. Empty tuples and None mean no limit.

    ``clouds`` and ``regions`` are names as a user writes them, what is excluded is spelled as in
    the tables.
    """

    spot: bool | None = None
    clouds: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    gpus: tuple[GpuRequest, ...] = ()
    max_price: Decimal | None = None
    every_place: bool = False
    exclude_clouds: tuple[str, ...] = ()
    exclude_regions: tuple[str, ...] = ()
