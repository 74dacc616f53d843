"""gpuhunt's catalogs: ``<provider>.csv``, a machine, a place and spot or not a row.

The columns are those of ``gpuhunt/_internal/storage.py``; older catalogs lack the last of them.
Machines of some providers go by other names than SkyPilot's: ``normalize`` finds the machine
SkyPilot would rent for a price, or drops the price.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from skyserve_llm.sources.catalogs.cells import Cells, is_money, is_number, money, whole
from skyserve_llm.sources.catalogs.rows import Imported
from skyserve_llm.sources.clouds import cloud_id
from skyserve_llm.sources.normalize.raw import RawOffer

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED = ("instance_name", "location", "price", "gpu_count", "gpu_name", "gpu_memory", "spot")

RESERVED = "reserved ahead in a calendar, not rented on demand"

PROVIDERS = {
    "lambdalabs": "lambda",
    "vastai": "vast",
    "datacrunch": "verda",
    "jarvislabs": "jarvis-labs",
}
"""gpuhunt's names of clouds that others know by another one."""


def provider_cloud(provider: str) -> str:
    return PROVIDERS.get(provider, cloud_id(provider))


def read_catalog(path: Path, cloud: str, source: str, as_of: str, label: str) -> Imported:
    """A provider's catalog, its rows without a GPU left out.

    Raises DataError, which names ``label`` and the line, for a file that is no such catalog or has
    garbage in a cell.
    """
    cells = Cells(path, label, REQUIRED)
    cells.demand("price", lambda text: bool(text) and is_money(text), "a price")
    cells.demand("gpu_count", is_number, "a number")
    cells.demand("gpu_memory", is_number, "a number")
    cells.demand("spot", lambda text: text.lower() in ("true", "false"), "True or False")
    name, location, price, count, gpu, memory, spot = map(cells.header.index, REQUIRED)
    flags, details = cells.column("flags"), cells.column("provider_data")
    offers = []
    dropped: Counter[str] = Counter()
    rows = [row for row in cells.rows if whole(row[count]) not in ("", "0") and row[gpu]]
    for row in rows:
        if _reserved(row, flags, details):
            dropped[RESERVED] += 1
            continue
        region, zone = _place(cloud, row[location])
        # A row has one price, in the column that says which.
        is_spot = row[spot].lower() == "true"
        amount = str(money(row[price]))
        offers.append(
            RawOffer(
                cloud=cloud,
                instance_type=_instance_type(cloud, row[name]),
                acc=row[gpu],
                gpu_count=whole(row[count]),
                vcpus="",
                mem_gib="",
                region=region,
                zone=zone,
                price="" if is_spot else amount,
                spot=amount if is_spot else "",
                source=source,
                asof=as_of,
                gpu_mib=_mib(row[memory]),
            )
        )
    return Imported(offers, len(rows), dropped)


def _reserved(row: list[str], flags: int | None, details: int | None) -> bool:
    """GCP's Dynamic Workload Scheduler, calendar mode: capacity bought for a week in advance."""
    flagged = flags is not None and "dws-calendar-mode" in row[flags]
    return flagged or (details is not None and '"is_dws_calendar_mode": true' in row[details])


def _place(cloud: str, location: str) -> tuple[str, str]:
    """Region and zone; GCP's locations are zones (``us-central1-a``), others' are regions."""
    return (location.rpartition("-")[0], location) if cloud == "gcp" else (location, "")


def _instance_type(cloud: str, name: str) -> str:
    """``'gpu-h100-sxm 1gpu-16vcpu-200gb'`` of Nebius has an underscore for SkyPilot."""
    return name.replace(" ", "_") if cloud == "nebius" else name


@cache
def _mib(gigabytes: str) -> int | None:
    return round(float(gigabytes) * 1024) if gigabytes else None
