"""A price table: its columns, what is asked of one, and the form it has as CSV.

The other form, made by a refresh for hundreds of thousands of rows, is ``price_store``. Both
answer the same questions with the same rows. Knows nothing of models or of what fits where.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

from skyserve_llm.sources.data import read_table, reject
from skyserve_llm.types import SUSPECT_MARKS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

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
    "marks",
)
(
    CLOUD, REGION, ZONE, INSTANCE_TYPE, GPU, ACCELERATOR, GPU_COUNT, SPOT, PRICE, AS_OF, SOURCE,
    MARKS,
) = range(12)  # fmt: skip

Row = list[str]
"""One price, a cell for each of ``COLUMNS``."""

Amounts = dict[str, Decimal]
"""A price by its text: a table says the same price many times."""


class Wanted(NamedTuple):
    """What is asked of a table, in the table's own names. None is no limit.

    ``gpus`` are names with a count or None for any. ``every_place`` False wants, of each group
    (see ``cheapest``), one row.
    """

    clouds: frozenset[str]
    regions: frozenset[str] | None = None
    without_regions: frozenset[str] = frozenset()
    gpus: frozenset[tuple[str, str | None]] | None = None
    spot: bool | None = None
    every_place: bool = False


class PriceTable(Protocol):
    """Either form of a table. Both raise DataError where it cannot be read."""

    def regions(self, clouds: Collection[str]) -> set[str]:
        """The regions in which some clouds have prices."""

    def rows(self, wanted: Wanted) -> tuple[list[Row], Amounts]:
        """The rows that are wanted, in any order, and their prices."""


def cheapest(rows: Iterable[Row], amounts: Amounts) -> list[Row]:
    """Of each cloud, GPU, count, and spot or not: its cheapest place, and what undercuts it.

    The cheapest place is that of the lowest price which is not suspect; a suspect price below it
    is kept beside it, to be shown and not chosen. Ties go by place and machine, so that the same
    table gives the same rows in whatever order.
    """
    best: dict[tuple[str, str, str, str, bool], tuple[Decimal, Row]] = {}
    for row in rows:
        group = (row[CLOUD], row[GPU], row[GPU_COUNT], row[SPOT], suspect(row[MARKS]))
        amount = amounts[row[PRICE]]
        if group in best:
            least, rival = best[group]
            if amount > least or (amount == least and place(rival) <= place(row)):
                continue
        best[group] = amount, row
    kept = []
    for (cloud, gpu, count, spot, doubtful), (amount, row) in best.items():
        trusted = best.get((cloud, gpu, count, spot, False))
        if not doubtful or trusted is None or amount < trusted[0]:
            kept.append(row)
    return kept


def place(row: Row) -> tuple[str, str, str]:
    return row[REGION], row[ZONE], row[INSTANCE_TYPE]


@cache
def suspect(marks: str) -> bool:
    """Whether a row of such ``marks`` may be chosen only by hand."""
    return not SUSPECT_MARKS.isdisjoint(marks.split())


def mark(rows: Sequence[Row]) -> None:
    """Appends to each row of a whole table the cell that says what is suspect about its price."""
    from skyserve_llm.sources import suspicion

    amounts = {text: Decimal(text) for text in {row[PRICE] for row in rows}}
    prices = [
        suspicion.Price(
            cloud=row[CLOUD],
            region=row[REGION],
            zone=row[ZONE],
            instance_type=row[INSTANCE_TYPE],
            gpu=row[GPU],
            gpu_count=int(row[GPU_COUNT]),
            spot=row[SPOT] == "1",
            usd=amounts[row[PRICE]],
            as_of=row[AS_OF],
            source=row[SOURCE],
        )
        for row in rows
    ]
    for row, marks in zip(rows, suspicion.marks(prices), strict=True):
        row.append(marks)


# --- the form in CSV -------------------------------------------------------------------------


class CsvTable:
    """A table in a file of ``COLUMNS``; without ``marks``, its prices are marked as it is read.

    The whole table is checked, whatever is asked of it. Raises DataError for a broken one.
    """

    def __init__(self, path: Path, gpus: Collection[str], clouds: Collection[str]) -> None:
        self._rows = read_table(path, COLUMNS, optional=1)
        self._amounts = _check(path, self._rows, gpus, clouds)
        if self._rows and len(self._rows[0]) == MARKS:
            mark(self._rows)

    def regions(self, clouds: Collection[str]) -> set[str]:
        return {row[REGION] for row in self._rows if row[CLOUD] in clouds and row[REGION]}

    def rows(self, wanted: Wanted) -> tuple[list[Row], Amounts]:
        rows = [row for row in self._rows if row[CLOUD] in wanted.clouds]
        if wanted.regions is not None:
            rows = [row for row in rows if row[REGION] in wanted.regions]
        if wanted.without_regions:
            rows = [row for row in rows if row[REGION] not in wanted.without_regions]
        if wanted.spot is not None:
            flag = "1" if wanted.spot else "0"
            rows = [row for row in rows if row[SPOT] == flag]
        if wanted.gpus is not None:
            asked = wanted.gpus
            rows = [
                row
                for row in rows
                if (row[GPU], None) in asked or (row[GPU], row[GPU_COUNT]) in asked
            ]
        if not wanted.every_place:
            rows = cheapest(rows, self._amounts)
        return rows, self._amounts

    def everything(self) -> list[Row]:
        """Every row, without its marks: what a next table is made of."""
        return [row[:MARKS] for row in self._rows]


def _check(path: Path, rows: list[Row], gpus: Collection[str], clouds: Collection[str]) -> Amounts:
    """The table's prices, once every cell of it is known to be good.

    Looks at the distinct values of a column, of which there are few, not at each row's.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)

    def demand(index: int, bad: set[str], why: str) -> None:
        if bad:
            row = next(row for row in rows if row[index] in bad)
            reject(path, row, COLUMNS[index], row[index], why)

    demand(CLOUD, set(columns[CLOUD]).difference(clouds), "is not a cloud of clouds.csv")
    demand(GPU, set(columns[GPU]).difference(gpus), "is not a GPU of gpus.csv")
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
