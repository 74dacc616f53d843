"""What every refresh found cheapest: the market's past, a row for each day, cloud and GPU."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from skyserve_llm.errors import DataError
from skyserve_llm.home import price_store_path
from skyserve_llm.sources.price_table import (
    CLOUD,
    GPU,
    GPU_COUNT,
    MARKS,
    PRICE,
    SPOT,
    suspect,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from skyserve_llm.sources.price_table import Row


class HistoryRow(NamedTuple):
    """The cheapest trusted price of a GPU on a cloud, spot or on-demand, on the day of a refresh.

    ``price_per_gpu_hour`` is USD for one GPU, whatever the count of the machine; ``snapshot`` names
    the table it stood in.
    """

    day: date
    cloud: str
    gpu: str
    spot: bool
    price_per_gpu_hour: Decimal
    snapshot: str


def read_history(
    path: Path | None = None,
    *,
    clouds: Collection[str] = (),
    gpus: Collection[str] = (),
    spot: bool | None = None,
) -> list[HistoryRow]:
    """The history in a stored table (the one in use), oldest day first; [] where there is none.

    Names are the table's own; empty and None are no limit. Raises DataError where the file cannot
    be read.
    """
    path = path or price_store_path()
    if not path.exists():
        return []
    limits: list[str] = []
    values: list[object] = []
    for column, names in (("cloud", clouds), ("gpu", gpus)):
        if names:
            limits.append(f"{column} IN ({', '.join('?' * len(names))})")
            values += names
    if spot is not None:
        limits.append("spot = ?")
        values.append(spot)
    where = f"WHERE {' AND '.join(limits)}" if limits else ""
    try:
        with closing(sqlite3.connect(path)) as store:
            found = store.execute(
                f"SELECT day, cloud, gpu, spot, price_per_gpu_hour, snapshot FROM history {where} "
                "ORDER BY day, cloud, gpu, spot",
                values,
            ).fetchall()
    except sqlite3.Error as error:
        raise DataError(
            f"the history of prices in {path} cannot be read: {error}",
            hint="`llmbudget prices refresh` begins a new one",
        ) from error
    return [
        HistoryRow(date.fromisoformat(day), cloud, gpu, bool(flag), Decimal(usd), snapshot)
        for day, cloud, gpu, flag, usd, snapshot in found
    ]


def cheapest_today(rows: Iterable[Row], day: date, snapshot: str) -> list[HistoryRow]:
    """What a day's refresh adds to the history. Suspect prices are no part of a trend."""
    least: dict[tuple[str, str, bool], Decimal] = {}
    for row in rows:
        if suspect(row[MARKS]):
            continue
        key = (row[CLOUD], row[GPU], row[SPOT] == "1")
        per_gpu = Decimal(row[PRICE]) / int(row[GPU_COUNT])
        if key not in least or per_gpu < least[key]:
            least[key] = per_gpu
    return [
        HistoryRow(day, cloud, gpu, spot, round(usd, 6).normalize(), snapshot)
        for (cloud, gpu, spot), usd in sorted(least.items())
    ]
