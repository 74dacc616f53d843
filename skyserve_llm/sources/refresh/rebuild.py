"""Catalogs -> the new price table, put in the place of the one in use."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from skyserve_llm.errors import DataError, RefreshError
from skyserve_llm.home import price_store_path
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.data import pricing_dir
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.history import cheapest_today
from skyserve_llm.sources.normalize.rules import Machines, normalize
from skyserve_llm.sources.normalize.tables import offer_rows
from skyserve_llm.sources.offers import shipped_on, table_in_use
from skyserve_llm.sources.price_store import Catalog, Snapshot, StoredTable, write_store
from skyserve_llm.sources.price_table import (
    ACCELERATOR,
    CLOUD,
    GPU,
    GPU_COUNT,
    INSTANCE_TYPE,
    REGION,
    SPOT,
    ZONE,
    CsvTable,
    mark,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from skyserve_llm.sources.catalogs.folder import CatalogFile
    from skyserve_llm.sources.clouds import Cloud
    from skyserve_llm.sources.price_table import Row
    from skyserve_llm.types import GpuSpec


class Rebuilt(NamedTuple):
    """A new table in use. ``rows`` are a catalog's rows with a GPU, ``prices`` what is kept of it.

    ``dropped`` counts the prices that are not, by reason. ``history_lost`` where the table before
    could not be read.
    """

    rows: Mapping[str, int]
    prices: Mapping[str, int]
    total: int
    dropped: Mapping[str, int]
    history_lost: bool


def rebuild(catalogs: Sequence[CatalogFile], today: date) -> Rebuilt:
    """Replaces the prices of the catalogs' clouds; those of other clouds stay what they were.

    Raises DataError for a catalog that is none, RefreshError if the table cannot be made; the one
    in use is then as it was.
    """
    gpus, clouds = load_gpus(), load_clouds()
    before = _before(gpus, clouds)
    imported = {one.cloud: one.read() for one in catalogs}
    outcome = normalize(
        (offer for one in imported.values() for offer in one.offers),
        {name: gpu.memory_mib for name, gpu in gpus.items()},
        clouds,
        today,
        _machines(before.rows, clouds),
    )
    if not outcome.kept:
        raise RefreshError("not one price in the catalogs is one that we can use")
    dropped = Counter(outcome.dropped)
    for one in imported.values():
        dropped.update(one.dropped)
    prices = Counter(quote.cloud for quote in outcome.kept)
    others = [row for row in before.rows if row[CLOUD] not in imported]
    origins = {one.cloud: one for one in before.catalogs}
    origins.update({one.cloud: Catalog(one.cloud, one.origin, one.as_of) for one in catalogs})
    rows = [*others, *offer_rows(outcome.kept)]
    _put_in_use(rows, today, origins.values(), imported, before.history)
    return Rebuilt(
        rows={cloud: one.rows for cloud, one in imported.items()},
        prices={cloud: prices[cloud] for cloud in imported},
        total=len(rows),
        dropped=dict(dropped.most_common()),
        history_lost=before.damaged,
    )


def merge(rows: Iterable[Row], today: date, replaces: Callable[[Row], bool]) -> int:
    """Lays single prices over the table in use; gives how many it has then.

    Each takes the place of the price for the same machine, place and kind, if there is one; prices
    that ``rows`` do not have again go where they are such as these replace. ``rows`` are without
    marks. Raises RefreshError if the table cannot be made; the one in use is then as it was.
    """
    before = _before(load_gpus(), load_clouds())
    news = {_key(row): row for row in rows}
    merged = {_key(row): row for row in before.rows if not replaces(row)} | news
    changed = {row[CLOUD] for row in news.values()}
    _put_in_use([*merged.values()], today, before.catalogs, changed, before.history)
    return len(merged)


def _key(row: Row) -> tuple[str, ...]:
    """What stands in a table once."""
    return tuple(row[at] for at in (CLOUD, REGION, ZONE, INSTANCE_TYPE, GPU_COUNT, SPOT))


# --- what there was ----------------------------------------------------------------------------


class _Before(NamedTuple):
    """The rows in use, without marks; ``history`` the stored table whose history goes on."""

    rows: list[Row]
    catalogs: list[Catalog]
    history: Path | None
    damaged: bool = False


def _before(gpus: Mapping[str, GpuSpec], clouds: Mapping[str, Cloud]) -> _Before:
    path = price_store_path()
    try:
        table, _ = table_in_use(gpus, clouds)
        rows = table.everything()
        catalogs = table.catalogs() if isinstance(table, StoredTable) else []
        return _Before(rows, catalogs, path if path.exists() else None)
    except DataError:
        if not path.exists():
            raise
        # A stored table that cannot be read is what a refresh is to mend: it counts for nothing.
        shipped = CsvTable(pricing_dir() / "offers.csv", gpus, clouds)
        return _Before(shipped.everything(), [], None, damaged=True)


def _machines(rows: Iterable[Row], clouds: Mapping[str, Cloud]) -> Machines:
    """What SkyPilot is known to rent: the rows of its clouds name its machines, of any source."""
    machines: Machines = defaultdict(set)
    for row in rows:
        if clouds[row[CLOUD]].skypilot:
            key = (row[CLOUD], row[GPU], int(row[GPU_COUNT]))
            machines[key].add((row[INSTANCE_TYPE], row[ACCELERATOR]))
    return machines


# --- what there will be ------------------------------------------------------------------------


def _put_in_use(
    rows: list[Row],
    today: date,
    origins: Iterable[Catalog],
    changed: Collection[str],
    history: Path | None,
) -> None:
    """Marks the whole table, writes it beside the one in use and then takes its place."""
    rows.sort(key=lambda row: (row[CLOUD], row[GPU], int(row[GPU_COUNT]), *_key(row)))
    mark(rows)
    snapshot = Snapshot(day=today.isoformat(), shipped=shipped_on(pricing_dir()))
    news = cheapest_today((row for row in rows if row[CLOUD] in changed), today, snapshot.day)
    path = price_store_path()
    draft = path.with_suffix(".draft")
    try:
        draft.unlink(missing_ok=True)
        write_store(draft, rows, snapshot, origins, news, history)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except (sqlite3.Error, OSError) as error:
        draft.unlink(missing_ok=True)
        raise RefreshError(
            f"the new table cannot be written to {path.parent}: {error}",
            hint="is there room on the disk? LLMBUDGET_HOME names another place",
        ) from error
