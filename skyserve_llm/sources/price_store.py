"""A price table in the form that a refresh leaves behind: one SQLite file.

Made whole and then put in place of the one before, never written to again: a plan that reads while
a refresh ends sees either table. Beside the prices stand where each cloud's come from and what
every refresh found cheapest (see ``history``). Knows how the table is stored; what a row means is
for ``price_table``, where rows come from for ``refresh``.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from skyserve_llm.errors import DataError
from skyserve_llm.sources.price_table import COLUMNS, GPU, PRICE, cheapest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from skyserve_llm.sources.history import HistoryRow
    from skyserve_llm.sources.price_table import Amounts, Row, Wanted

FORMAT = 1
"""Of the file, kept in its ``user_version``. A table of another format is refused, not guessed."""

_SCHEMA = f"""
PRAGMA user_version = {FORMAT};
CREATE TABLE snapshot (day TEXT NOT NULL, shipped TEXT NOT NULL);
CREATE TABLE catalogs (cloud TEXT PRIMARY KEY, origin TEXT NOT NULL, as_of TEXT NOT NULL);
CREATE TABLE offers ({", ".join(f"{column} TEXT NOT NULL" for column in COLUMNS)},
                     best INTEGER NOT NULL);
CREATE TABLE history (day TEXT NOT NULL, cloud TEXT NOT NULL, gpu TEXT NOT NULL,
                      spot INTEGER NOT NULL, price_per_gpu_hour TEXT NOT NULL,
                      snapshot TEXT NOT NULL, PRIMARY KEY (day, cloud, gpu, spot)) WITHOUT ROWID;
"""

_INDEXES = """
CREATE INDEX offers_best ON offers (cloud, gpu) WHERE best;
CREATE INDEX offers_place ON offers (cloud, region, gpu);
CREATE INDEX offers_gpu ON offers (gpu, cloud);
"""
# Made once all rows are in, which takes half the time.

_CELLS = ", ".join(COLUMNS)


class Snapshot(NamedTuple):
    """``day`` the table was made, ``shipped`` the day of the shipped table it was laid over."""

    day: str
    shipped: str


class Catalog(NamedTuple):
    """Where a cloud's prices come from, and when they were true ('' unknown)."""

    cloud: str
    origin: str
    as_of: str


class StoredTable:
    """A stored table, opened for reading. Raises DataError where it cannot be read."""

    def __init__(self, path: Path, gpus: Collection[str]) -> None:
        self._path = path
        self._gpus = gpus
        found = self._ask("PRAGMA user_version")[0][0]
        if found != FORMAT:
            raise _unreadable(path, f"it has format {found}, this release reads {FORMAT}")
        self.snapshot = Snapshot(*self._ask("SELECT day, shipped FROM snapshot")[0])

    def regions(self, clouds: Collection[str]) -> set[str]:
        asked = list(clouds)
        found = self._ask(
            f"SELECT DISTINCT region FROM offers WHERE region != '' AND cloud IN ({_holes(asked)})",
            asked,
        )
        return {region for (region,) in found}

    def rows(self, wanted: Wanted) -> tuple[list[Row], Amounts]:
        where, values = _where(wanted)
        # Which row of a group is cheapest was found out when the table was made. With regions left
        # out it may be another.
        prepared = wanted.regions is None and not wanted.without_regions
        if prepared and not wanted.every_place:
            where += " AND best"
        found = self._ask(f"SELECT {_CELLS} FROM offers WHERE {where}", values)
        rows = [list(row) for row in found]
        strange = {row[GPU] for row in rows}.difference(self._gpus)
        if strange:
            raise _unreadable(self._path, f"this release does not know the GPU {min(strange)}")
        amounts = {text: Decimal(text) for text in {row[PRICE] for row in rows}}
        if not prepared and not wanted.every_place:
            rows = cheapest(rows, amounts)
        return rows, amounts

    def catalogs(self) -> list[Catalog]:
        return [Catalog(*row) for row in self._ask("SELECT cloud, origin, as_of FROM catalogs")]

    def everything(self) -> list[Row]:
        """Every row, without its marks: what a next table is made of."""
        cells = ", ".join(COLUMNS[:-1])
        return [list(row) for row in self._ask(f"SELECT {cells} FROM offers")]

    def _ask(self, question: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            with closing(sqlite3.connect(self._path)) as store:
                return store.execute(question, values).fetchall()
        except sqlite3.Error as error:
            raise _unreadable(self._path, str(error)) from error


def _where(wanted: Wanted) -> tuple[str, list[object]]:
    """The condition on a row, with a hole for each value."""
    conditions: list[str] = []
    values: list[object] = []

    def demand(condition: str, given: Iterable[object]) -> None:
        given = list(given)
        conditions.append(condition.format(_holes(given)))
        values.extend(given)

    demand("cloud IN ({})", wanted.clouds)
    if wanted.regions is not None:
        demand("region IN ({})", wanted.regions)
    if wanted.without_regions:
        demand("region NOT IN ({})", wanted.without_regions)
    if wanted.spot is not None:
        demand("spot = {}", ["1" if wanted.spot else "0"])
    if wanted.gpus is not None:
        any_count = [name for name, count in wanted.gpus if count is None]
        exact = [pair for pair in wanted.gpus if pair[1] is not None]
        either = [f"gpu IN ({_holes(any_count)})", *["(gpu = ? AND gpu_count = ?)"] * len(exact)]
        conditions.append(f"({' OR '.join(either)})")
        values += [*any_count, *(cell for pair in exact for cell in pair)]
    return " AND ".join(conditions), values


def _holes(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"the refreshed prices in {path} cannot be read: {why}",
        hint="`llmbudget prices refresh` makes them anew; without the file the shipped table is "
        "used",
    )


def write_store(
    path: Path,
    rows: Sequence[Row],
    snapshot: Snapshot,
    catalogs: Iterable[Catalog],
    history: Iterable[HistoryRow],
    before: Path | None = None,
) -> None:
    """Makes a stored table of marked rows at ``path``, where there is none yet.

    ``before`` is the table whose history goes on in this one; what ``history`` says of a day and a
    cloud replaces what was said before. Raises sqlite3.Error, among others for a full disk.
    """
    amounts = {text: Decimal(text) for text in {row[PRICE] for row in rows}}
    best = set(map(id, cheapest(rows, amounts)))
    with closing(sqlite3.connect(path, isolation_level=None)) as store:
        # A draft that a crash cuts short is thrown away: nothing to roll back to.
        store.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_SCHEMA}")
        if before:
            store.execute("ATTACH ? AS old", [str(before)])
            store.execute("INSERT INTO history SELECT * FROM old.history")
            store.execute("DETACH old")
        store.execute("BEGIN")
        store.execute("INSERT INTO snapshot VALUES (?, ?)", snapshot)
        store.executemany("INSERT INTO catalogs VALUES (?, ?, ?)", catalogs)
        store.executemany(
            f"INSERT INTO offers VALUES ({_holes((*COLUMNS, 'best'))})",
            ((*row, id(row) in best) for row in rows),
        )
        news = list(history)
        store.executemany(
            "DELETE FROM history WHERE day = ? AND cloud = ?",
            {(one.day.isoformat(), one.cloud) for one in news},
        )
        store.executemany(
            "INSERT INTO history VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    one.day.isoformat(),
                    one.cloud,
                    one.gpu,
                    one.spot,
                    f"{one.price_per_gpu_hour:f}",
                    one.snapshot,
                )
                for one in news
            ),
        )
        store.execute("COMMIT")
        store.executescript(_INDEXES)
