"""A catalog as text: columns found by name, and nothing in a cell that cannot be there.

Columns stand in another order in every cloud's catalog and some have more of them; a file that
lacks one, or has garbage in a cell, is refused as a whole: half a catalog would look like a cloud
that rents half as much.
"""

from __future__ import annotations

import csv
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from skyserve_llm.errors import DataError
from skyserve_llm.sources.data import line_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PLACES = 6
"""Decimals of a price. What comes after is the noise of somebody's floats: 0.36979999999999996."""


class Cells:
    """The rows of a catalog, and where its columns are. ``label`` names it in an error.

    Raises DataError for a file that cannot be read or is no CSV of ``required`` columns.
    """

    def __init__(self, path: Path, label: str, required: Sequence[str]) -> None:
        self.path, self.label = path, label
        try:
            with path.open(newline="", encoding="utf-8-sig") as lines:
                reader = csv.reader(lines, strict=True)
                self.header = next(reader, [])
                self.rows = [row for row in reader if row]
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{label} is no CSV in UTF-8: {error}") from error
        missing = [column for column in required if column not in self.header]
        if missing:
            shown = ",".join(self.header)
            raise DataError(
                f"{label} is no price catalog: no column {missing[0]} in its first line, "
                f"{shown[:60]!r}"
            )
        odd = next((row for row in self.rows if len(row) != len(self.header)), None)
        if odd is not None:
            self.refuse(odd, f"{len(odd)} cells, expected {len(self.header)}")

    def column(self, name: str) -> int | None:
        """Where a column is, None where the catalog lacks it."""
        return self.header.index(name) if name in self.header else None

    def demand(self, name: str, good: Callable[[str], object], what: str) -> None:
        """Every cell of a column is good. Looks at its distinct values, of which there are few."""
        index = self.column(name)
        if index is None:
            return
        bad = {text for text in {row[index] for row in self.rows} if not good(text)}
        if bad:
            row = next(row for row in self.rows if row[index] in bad)
            self.refuse(row, f"column {name}: {row[index][:40]!r} is not {what}")

    def refuse(self, row: list[str], why: str) -> NoReturn:
        raise DataError(f"{self.label}, line {line_of(self.path, row)}: {why}")


@cache
def money(text: str) -> Decimal | None:
    """A price as its catalog means it; None for no number, or one below zero."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return None
    if not amount.is_finite() or amount < 0:
        return None
    exponent = amount.as_tuple().exponent
    return round(amount, PLACES) if isinstance(exponent, int) and exponent < -PLACES else amount


def is_money(text: str) -> bool:
    """A price, or none."""
    return not text or money(text) is not None


@cache
def whole(text: str) -> str:
    """``'8.0'`` -> ``'8'``; a fraction stays as it is, no number of things at all is ''."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return ""
    if not number.is_finite() or number < 0:
        return ""
    return str(int(number)) if number == int(number) else text


def is_number(text: str) -> bool:
    """A number of things, or none."""
    return not text or bool(whole(text))
