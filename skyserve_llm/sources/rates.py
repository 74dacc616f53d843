"""What clouds charge beside compute: disk, internet egress and the SkyServe controller.

Reads ``pricing/extras.csv``, one figure a row with its own source and date, and gathers them
into one ``Rate`` a cloud. Knows nothing of offers.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from skyserve_llm.sources.data import pricing_dir, read_table, reject
from skyserve_llm.types import Rate

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("cloud", "rate", "usd", "as_of", "source", "note")
RATES = ("disk_gib_month", "egress_gib", "controller_hour")


def load_rates(path: Path | None = None) -> dict[str, Rate]:
    """The rates of every cloud that has any, USD; a figure with no row is None, unknown.

    ``as_of`` is the oldest of the figures' dates, None where any of them is undated; ``source``
    names all of their sources. Raises DataError for a broken row.
    """
    path = path or pricing_dir() / "extras.csv"
    figures: dict[str, dict[str, list[str]]] = {}
    for row in read_table(path, COLUMNS):
        cloud, rate = row[:2]
        if rate not in RATES:
            reject(path, row, "rate", rate, f"is none of {', '.join(RATES)}")
        if rate in figures.setdefault(cloud, {}):
            reject(path, row, "rate", rate, f"stands twice for {cloud}")
        if not row[4]:
            reject(path, row, "source", "", "must not be empty")
        figures[cloud][rate] = row
    return {cloud: _rate(path, cloud, rows) for cloud, rows in figures.items()}


def _rate(path: Path, cloud: str, rows: dict[str, list[str]]) -> Rate:
    dates = [_date(path, row) for row in rows.values()]
    dated = [day for day in dates if day is not None]
    usd = {rate: _usd(path, row) for rate, row in rows.items()}
    return Rate(
        cloud=cloud,
        disk_gib_month=usd.get("disk_gib_month"),
        egress_gib=usd.get("egress_gib"),
        controller_hour=usd.get("controller_hour"),
        as_of=min(dated) if len(dated) == len(dates) else None,
        source="; ".join(dict.fromkeys(row[4] for row in rows.values())),
    )


def _usd(path: Path, row: list[str]) -> Decimal:
    """Zero is a price too: some clouds do not charge for egress."""
    try:
        amount = Decimal(row[2])
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        reject(path, row, "usd", row[2], "is not an amount of USD")
    return amount


def _date(path: Path, row: list[str]) -> date | None:
    if not row[3]:
        return None
    try:
        return date.fromisoformat(row[3])
    except ValueError:
        reject(path, row, "as_of", row[3], "is not a date (YYYY-MM-DD)")
