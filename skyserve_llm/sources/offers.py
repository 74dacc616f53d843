"""Offers: what can be rented where, for how much, out of a price table.

Filters the raw text of the table first and builds ``Offer`` values only for what is left, so that
a plan over thousands of prices stays instant. Knows nothing of models or of what fits where.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from skyserve_llm.errors import InputError
from skyserve_llm.sources.clouds import cloud_id, load_clouds
from skyserve_llm.sources.data import pricing_dir, read_table, reject
from skyserve_llm.types import Offer, PriceSnapshot

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from skyserve_llm.sources.clouds import Cloud
    from skyserve_llm.types import GpuSpec, Market

COLUMNS = (
    "cloud",
    "region",
    "zone",
    "instance_type",
    "gpu",
    "accelerator",
    "gpu_count",
    "spot",
    "price_per_hour",
    "as_of",
    "source",
)
CLOUD, REGION, ZONE, INSTANCE_TYPE, GPU, ACCELERATOR, GPU_COUNT, SPOT, PRICE, AS_OF, SOURCE = range(
    11
)


Amounts = dict[str, Decimal]
"""A price by its text: a table says the same price many times."""


def load_offers(
    market: Market, gpus: Mapping[str, GpuSpec], path: Path | None = None
) -> tuple[list[Offer], PriceSnapshot]:
    """The offers of a price table that a market allows, sorted, and how old their prices are.

    ``path`` is a table in the format of the shipped one, which it replaces. Unless
    ``market.every_place``, only the cheapest place of each cloud, GPU, count and spot or not is
    given. Clouds on which SkyServe cannot run are offered only if the market names them.

    Raises InputError for a cloud, region or GPU that nobody knows, DataError for a broken table.
    """
    table = path or pricing_dir() / "offers.csv"
    clouds = load_clouds()
    rows = read_table(table, COLUMNS)
    amounts = _check(table, rows, gpus, clouds)
    rows = _matching(market, rows, amounts, gpus, clouds)
    if not market.every_place:
        rows = _cheapest(rows, amounts)
    rows.sort(key=lambda row: (_group(row), amounts[row[PRICE]], _place(row)))
    offers = [_offer(row, amounts) for row in rows]
    snapshot = path.name if path else _snapshot_date(table.with_name("snapshot.json"))
    return offers, PriceSnapshot(snapshot=snapshot, as_of=_oldest(offers))


# --- what may be used ------------------------------------------------------------------------


def _matching(
    market: Market,
    rows: list[list[str]],
    amounts: Amounts,
    gpus: Mapping[str, GpuSpec],
    clouds: Mapping[str, Cloud],
) -> list[list[str]]:
    if market.clouds:
        allowed = {_known("cloud", cloud_id(name), clouds) for name in market.clouds}
    else:
        allowed = {cloud.id for cloud in clouds.values() if cloud.serves}
    rows = [row for row in rows if row[CLOUD] in allowed]
    if market.regions:
        # A region of another cloud than those asked for is a mistake, not an empty answer.
        here = {row[REGION] for row in rows if row[REGION]}
        regions = {_known("region", name, here) for name in market.regions}
        rows = [row for row in rows if row[REGION] in regions]
    if market.spot is not None:
        flag = "1" if market.spot else "0"
        rows = [row for row in rows if row[SPOT] == flag]
    if market.gpus:
        wanted = {
            (_known("GPU", gpu.name, gpus), None if gpu.count is None else str(gpu.count))
            for gpu in market.gpus
        }
        rows = [
            row
            for row in rows
            if (row[GPU], None) in wanted or (row[GPU], row[GPU_COUNT]) in wanted
        ]
    if market.max_price is not None:
        affordable = {text for text, amount in amounts.items() if amount <= market.max_price}
        rows = [row for row in rows if row[PRICE] in affordable]
    return rows


def _group(row: list[str]) -> tuple[str, str, int, str]:
    """What a cheaper place may stand in for another of."""
    return row[CLOUD], row[GPU], int(row[GPU_COUNT]), row[SPOT]


def _place(row: list[str]) -> tuple[str, str, str]:
    """Ties in price go by place and machine, so that the same table gives the same offers."""
    return row[REGION], row[ZONE], row[INSTANCE_TYPE]


def _cheapest(rows: Iterable[list[str]], amounts: Amounts) -> list[list[str]]:
    best: dict[tuple[str, ...], tuple[Decimal, list[str]]] = {}
    for row in rows:
        group = (row[CLOUD], row[GPU], row[GPU_COUNT], row[SPOT])
        amount = amounts[row[PRICE]]
        if group in best:
            least, rival = best[group]
            if amount > least or (amount == least and _place(rival) <= _place(row)):
                continue
        best[group] = amount, row
    return [row for _, row in best.values()]


def _offer(row: list[str], amounts: Amounts) -> Offer:
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


def _snapshot_date(path: Path) -> str:
    import json

    return str(json.loads(path.read_text(encoding="utf-8"))["snapshot"])


# --- what a user may have mistyped -----------------------------------------------------------


def _fold(name: str) -> str:
    """``'a100_80gb'``, ``'A100-80GB'`` and ``'A100 80GB'`` are one name."""
    return name.lower().translate({ord(mark): None for mark in "-_ "})


def _known(what: str, name: str, known: Collection[str]) -> str:
    """The known name that ``name`` means, whatever its case and hyphens."""
    if name in known:
        return name
    folded = _fold(name)
    for candidate in known:
        if _fold(candidate) == folded:
            return candidate
    raise InputError(f"unknown {what} {name!r}", hint=_nearest(what, folded, known))


def _nearest(what: str, folded: str, known: Collection[str]) -> str:
    from difflib import get_close_matches

    names = {_fold(name): name for name in sorted(known)}
    near = [names[match] for match in get_close_matches(folded, names, n=3, cutoff=0.5)]
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    # All clouds and GPUs fit a screen; regions, unless a cloud narrows them down, do not.
    shown = ", ".join(names.values()) if len(names) <= 60 else f"{len(names)}, too many to list"
    return f"{meant}known {what}s: {shown or 'none'}"


# --- what a table may get wrong --------------------------------------------------------------


def _check(
    path: Path, rows: list[list[str]], gpus: Mapping[str, GpuSpec], clouds: Mapping[str, Cloud]
) -> Amounts:
    """The table's prices, once every cell of it is known to be good.

    Looks at the distinct values of a column, of which there are few, not at each row's: the
    table is checked whole on every run, whatever the market asks for.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)

    def demand(index: int, bad: set[str], why: str) -> None:
        if bad:
            row = next(row for row in rows if row[index] in bad)
            reject(path, row, COLUMNS[index], row[index], why)

    demand(CLOUD, set(columns[CLOUD]) - clouds.keys(), "is not a cloud of clouds.csv")
    demand(GPU, set(columns[GPU]) - gpus.keys(), "is not a GPU of gpus.csv")
    demand(SPOT, set(columns[SPOT]) - {"0", "1"}, "is neither 0 (on-demand) nor 1 (spot)")
    counts = {text for text in set(columns[GPU_COUNT]) if not _is_count(text)}
    demand(GPU_COUNT, counts, "is not a number of GPUs")
    dates = {text for text in set(columns[AS_OF]) if text and not _is_date(text)}
    demand(AS_OF, dates, "is neither a date (YYYY-MM-DD) nor empty")
    for index in (INSTANCE_TYPE, ACCELERATOR, SOURCE):
        demand(index, {""} & set(columns[index]), "must not be empty")
    amounts = {text: _amount(text) for text in set(columns[PRICE])}
    demand(
        PRICE,
        {text for text, amount in amounts.items() if amount is None},
        "is not a positive number of USD an hour",
    )
    return {text: amount for text, amount in amounts.items() if amount is not None}


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and not text.startswith("0")


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _amount(text: str) -> Decimal | None:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount > 0 else None
