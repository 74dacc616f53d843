"""A price table as its user pays it: own prices over the listed ones, discounts on the rest.

Itself a ``PriceTable`` around another, so that whoever asks it does not know. Only on the way of a
plan whose user has terms of their own.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from skyserve_llm.sources.price_table import (
    AS_OF,
    CLOUD,
    GPU_COUNT,
    INSTANCE_TYPE,
    MARKS,
    PRICE,
    REGION,
    SOURCE,
    SPOT,
    ZONE,
    CsvTable,
    cheapest,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from skyserve_llm.sources.price_table import Amounts, PriceTable, Row, Wanted
    from skyserve_llm.sources.settings import Settings


class OwnPrices:
    """``listed`` with a user's ``own`` rows over it and factors on a cloud's other prices.

    An own row stands for the same machine in the same place; one without a region for that
    machine wherever it is listed. What no listed row matches is added. Own prices are what the
    user pays: no discount goes on top, and nothing about them is suspect.
    """

    def __init__(
        self, listed: PriceTable, own: PriceTable | None, discounts: Mapping[str, Decimal]
    ) -> None:
        self._listed = listed
        self._own = own
        self._discounts = discounts

    def regions(self, clouds: Collection[str]) -> set[str]:
        own = self._own.regions(clouds) if self._own else set()
        return self._listed.regions(clouds) | own

    def rows(self, wanted: Wanted) -> tuple[list[Row], Amounts]:
        if self._own is None:
            # A cloud's prices all change by one factor: its cheapest place stays the cheapest.
            rows, amounts = self._listed.rows(wanted)
            return self._discounted(rows, amounts)
        everywhere = wanted._replace(every_place=True)
        rows, amounts = self._discounted(*self._listed.rows(everywhere))
        rows, own_amounts = self._overlaid(rows, everywhere)
        amounts |= own_amounts
        return (rows if wanted.every_place else cheapest(rows, amounts)), amounts

    def _discounted(self, rows: list[Row], amounts: Amounts) -> tuple[list[Row], Amounts]:
        paid = [row.copy() if row[CLOUD] in self._discounts else row for row in rows]
        paid_amounts = dict(amounts)
        for row in paid:
            factor = self._discounts.get(row[CLOUD])
            if factor is not None:
                amount = amounts[row[PRICE]] * factor
                row[PRICE] = f"{amount.normalize():f}"
                row[SOURCE] = f"{row[SOURCE]} x {factor}"
                paid_amounts[row[PRICE]] = amount
        return paid, paid_amounts

    def _overlaid(self, listed: list[Row], wanted: Wanted) -> tuple[list[Row], Amounts]:
        assert self._own is not None
        # A price for the whole cloud holds in whichever region is asked for.
        own, amounts = self._own.rows(wanted._replace(regions=None))
        placed = {_machine(row): row for row in own}
        used = set()
        rows = []
        for row in listed:
            key = next((key for key in (_machine(row), _anywhere(row)) if key in placed), None)
            if key is None:
                rows.append(row)
                continue
            used.add(key)
            rows.append(_paid(row, placed[key]))
        rows += [
            _paid(row, row)
            for key, row in placed.items()
            if key not in used and (wanted.regions is None or row[REGION] in wanted.regions)
        ]
        return rows, amounts


def own_prices(
    listed: PriceTable, settings: Settings, gpus: Collection[str], clouds: Collection[str]
) -> PriceTable:
    """The table in use under the user's terms. Raises DataError for a broken table of theirs."""
    own = CsvTable(settings.prices, gpus, clouds) if settings.prices else None
    return OwnPrices(listed, own, settings.discounts)


_Key = tuple[str, str, str, str, str, str]


def _machine(row: Row) -> _Key:
    return (
        row[CLOUD], row[REGION], row[ZONE], row[INSTANCE_TYPE], row[GPU_COUNT], row[SPOT],
    )  # fmt: skip


def _anywhere(row: Row) -> _Key:
    return row[CLOUD], "", "", row[INSTANCE_TYPE], row[GPU_COUNT], row[SPOT]


def _paid(row: Row, own: Row) -> Row:
    """``row`` at the price of ``own``."""
    paid = row.copy()
    for column in (PRICE, AS_OF, SOURCE):
        paid[column] = own[column]
    paid[MARKS] = ""
    return paid
