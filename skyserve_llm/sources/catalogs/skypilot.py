"""SkyPilot's catalogs: ``<cloud>/vms.csv``, a machine and a place a row.

The columns are those that SkyPilot's own ``sky/catalog/common.py`` reads.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from skyserve_llm.sources.catalogs import gcp
from skyserve_llm.sources.catalogs.cells import Cells, is_money, is_number, money, whole
from skyserve_llm.sources.catalogs.gpu_info import gpu_mib
from skyserve_llm.sources.catalogs.rows import Imported, Machine
from skyserve_llm.sources.normalize.raw import RawOffer

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = (
    "InstanceType",
    "AcceleratorName",
    "AcceleratorCount",
    "Price",
    "SpotPrice",
    "Region",
)


def read_catalog(path: Path, cloud: str, source: str, as_of: str, label: str) -> Imported:
    """A cloud's catalog, its rows without a GPU left out.

    ``source`` and ``as_of`` are what each offer is given as such. Raises DataError, which names
    ``label`` and the line, for a file that is no such catalog or has garbage in a cell.
    """
    cells = Cells(path, label, REQUIRED)
    for name in ("Price", "SpotPrice"):
        cells.demand(name, is_money, "a price")
    for name in ("AcceleratorCount", "vCPUs", "MemoryGiB"):
        cells.demand(name, is_number, "a number")
    machines = [machine for machine in _machines(cells) if machine.acc or cloud == gcp.CLOUD]
    dropped: Counter[str] = Counter()
    if cloud == gcp.CLOUD:
        machines = gcp.add_up(machines, dropped)
    # A price of zero stays as it is: what it means is for `normalize` to say.
    offers = [
        RawOffer(
            cloud=cloud,
            instance_type=machine.instance_type,
            acc=machine.acc,
            gpu_count=machine.gpu_count,
            vcpus=machine.vcpus,
            mem_gib=machine.mem_gib,
            region=machine.region,
            zone=machine.zone,
            price=machine.price,
            spot=machine.spot,
            source=source,
            asof=as_of,
            gpu_mib=gpu_mib(cloud, machine.gpu_info, machine.gpu_count),
        )
        for machine in machines
    ]
    return Imported(offers, len(offers) + sum(dropped.values()), dropped)


def _machines(cells: Cells) -> list[Machine]:
    """Every row, its cells in our order; '' where the catalog lacks a column."""
    wanted = (
        "InstanceType", "AcceleratorName", "AcceleratorCount", "vCPUs", "MemoryGiB", "Region",
        "AvailabilityZone", "Price", "SpotPrice", "GpuInfo",
    )  # fmt: skip
    where = [cells.column(name) for name in wanted]
    machines = []
    for row in cells.rows:
        name, acc, count, vcpus, memory, region, zone, price, spot, info = (
            "" if index is None else row[index] for index in where
        )
        count = whole(count)
        # Catalogs count the GPUs of a machine without any as 0 or not at all.
        machines.append(
            Machine(
                name, acc if count != "0" else "", count, vcpus, memory, region, zone,
                _plain(price), _plain(spot), info,
            )
        )  # fmt: skip
    return machines


def _plain(text: str) -> str:
    amount = money(text) if text else None
    return "" if amount is None else str(amount)
