"""Offers: what can be rented where, for how much, out of the price table in use.

Asks a table for rows and builds ``Offer`` values only for what is wanted, so that a plan over
hundreds of thousands of prices stays instant. Knows nothing of models or of what fits where.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from skyserve_llm.home import price_store_path
from skyserve_llm.sources.clouds import cloud_id, load_clouds
from skyserve_llm.sources.data import pricing_dir
from skyserve_llm.sources.names import known_name
from skyserve_llm.sources.price_table import (
    ACCELERATOR,
    AS_OF,
    CLOUD,
    GPU,
    GPU_COUNT,
    INSTANCE_TYPE,
    MARKS,
    PRICE,
    REGION,
    SOURCE,
    SPOT,
    ZONE,
    CsvTable,
    Wanted,
    place,
)
from skyserve_llm.types import Offer, PriceSnapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from skyserve_llm.sources.clouds import Cloud
    from skyserve_llm.sources.price_store import StoredTable
    from skyserve_llm.sources.price_table import Amounts, PriceTable, Row
    from skyserve_llm.sources.settings import Settings
    from skyserve_llm.types import GpuSpec, Market


def load_offers(
    market: Market,
    gpus: Mapping[str, GpuSpec],
    path: Path | None = None,
    settings: Settings | None = None,
) -> tuple[list[Offer], PriceSnapshot]:
    """The offers that a market allows, sorted, and how old their prices are.

    They come from ``path``, a table in the format of the shipped one; without it from the table
    last refreshed, or else from the shipped one, and ``settings`` lay the user's own prices and
    discounts over that. Unless ``market.every_place``, only the cheapest
    place of each cloud, GPU, count and spot or not is given, and a suspect one where that is
    cheaper still. Clouds on which SkyServe cannot run are offered only if the market names them.

    Raises InputError for a cloud, region or GPU that nobody knows, DataError for a broken table.
    """
    clouds = load_clouds()
    table: PriceTable
    if path:
        table, snapshot = CsvTable(path, gpus, clouds), path.name
    else:
        table, snapshot = table_in_use(gpus, clouds)
    if settings is not None and settings.price_anything and path is None:
        from skyserve_llm.sources.own_prices import own_prices

        table = own_prices(table, settings, gpus, clouds)
    rows, amounts = table.rows(_wanted(market, table, gpus, clouds))
    if market.max_price is not None:
        affordable = {text for text, amount in amounts.items() if amount <= market.max_price}
        rows = [row for row in rows if row[PRICE] in affordable]
    rows.sort(key=lambda row: (_group(row), amounts[row[PRICE]], place(row)))
    offers = [_offer(row, amounts) for row in rows]
    return offers, PriceSnapshot(snapshot=snapshot, as_of=_oldest(offers))


def table_in_use(
    gpus: Mapping[str, GpuSpec], clouds: Mapping[str, Cloud]
) -> tuple[CsvTable | StoredTable, str]:
    """The table last refreshed, or else the shipped one, and what to call it."""
    shipped = pricing_dir()
    day = shipped_on(shipped)
    refreshed = price_store_path()
    if refreshed.exists():
        # Here, not above: without a refreshed table nobody waits for SQLite.
        from skyserve_llm.sources.price_store import StoredTable

        stored = StoredTable(refreshed, gpus)
        # A newer release may ship newer prices than an old refresh has left.
        if stored.snapshot.shipped == day or stored.snapshot.day >= day:
            return stored, f"{stored.snapshot.day} (refreshed)"
    return CsvTable(shipped / "offers.csv", gpus, clouds), day


def shipped_on(folder: Path) -> str:
    """The day of the table that this release ships."""
    import json

    return str(json.loads((folder / "snapshot.json").read_text(encoding="utf-8"))["snapshot"])


def _wanted(
    market: Market, table: PriceTable, gpus: Mapping[str, GpuSpec], clouds: Mapping[str, Cloud]
) -> Wanted:
    """What a market asks for, in the table's own names."""
    if market.clouds:
        allowed = {known_name("cloud", cloud_id(name), clouds) for name in market.clouds}
    else:
        allowed = {cloud.id for cloud in clouds.values() if cloud.serves}
    allowed.difference_update(market.exclude_clouds)
    regions = None
    if market.regions:
        # A region of another cloud than those asked for is a mistake, not an empty answer.
        here = table.regions(allowed)
        regions = frozenset(known_name("region", name, here) for name in market.regions)
    wanted_gpus = frozenset(
        (known_name("GPU", gpu.name, gpus), None if gpu.count is None else str(gpu.count))
        for gpu in market.gpus
    )
    return Wanted(
        clouds=frozenset(allowed),
        regions=regions,
        without_regions=frozenset(market.exclude_regions),
        gpus=wanted_gpus or None,
        spot=market.spot,
        every_place=market.every_place,
    )


def _group(row: Row) -> tuple[str, str, int, str]:
    """What a cheaper place may stand in for another of."""
    return row[CLOUD], row[GPU], int(row[GPU_COUNT]), row[SPOT]


def _offer(row: Row, amounts: Amounts) -> Offer:
    marks = tuple(row[MARKS].split())
    return Offer(
        cloud=row[CLOUD],
        region=row[REGION],
        zone=row[ZONE] or None,
        instance_type=row[INSTANCE_TYPE],
        gpu=row[GPU],
        accelerator=row[ACCELERATOR],
        gpu_count=int(row[GPU_COUNT]),
        spot=row[SPOT] == "1",
        price_per_hour=amounts[row[PRICE]],
        as_of=date.fromisoformat(row[AS_OF]) if row[AS_OF] else None,
        source=row[SOURCE],
        # No table says of a row what its empty date says already.
        marks=marks if row[AS_OF] else (*marks, "undated"),
    )


def _oldest(offers: Iterable[Offer]) -> dict[str, date | None]:
    """The oldest date of each cloud's offers; None where any of them is undated."""
    oldest: dict[str, date | None] = {}
    for offer in offers:
        before = oldest.get(offer.cloud, offer.as_of)
        if before is None or offer.as_of is None:
            oldest[offer.cloud] = None
        else:
            oldest[offer.cloud] = min(before, offer.as_of)
    return oldest
