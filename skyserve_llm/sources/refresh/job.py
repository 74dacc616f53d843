"""A whole refresh, from a URL or a folder to the table in use. One at a time."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from skyserve_llm.errors import DataError, InputError, RefreshError
from skyserve_llm.home import prices_dir
from skyserve_llm.sources.catalogs.folder import find_catalogs
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.offers import table_in_use
from skyserve_llm.sources.refresh.rebuild import Rebuilt, merge, rebuild

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from skyserve_llm.sources.catalogs.folder import CatalogFile
    from skyserve_llm.sources.price_table import Row
    from skyserve_llm.sources.refresh.fetch import Limits

State = Literal["new", "unchanged", "local", "none"]
"""Of a catalog: just downloaded, the copy we had, read where it lies, or not there at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRefreshed:
    """What a refresh found of a cloud: ``rows`` with a GPU in its catalog, ``prices`` kept."""

    cloud: str
    catalog: State
    as_of: str | None
    rows: int
    prices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """The account of a refresh, and the document that ``prices refresh -o json`` prints.

    ``dropped`` counts prices by the reason they are not kept for; ``ignored`` are folders of
    clouds that clouds.csv does not have.
    """

    snapshot: date
    origin: str
    prices: int
    clouds: list[CloudRefreshed]
    dropped: Mapping[str, int]
    ignored: list[str]
    history_lost: bool


def refresh_hosted(
    urls: Sequence[str],
    only: Collection[str],
    today: date,
    limits: Limits,
    progress: Callable[[str, int, int | None], None],
) -> Refreshed:
    """Downloads the catalogs under the first URL that has them, of ``only`` these clouds if any.

    Raises InputError for a URL that is none, RefreshError for whatever keeps the new prices from
    being used; those there were then stay in use.
    """
    from skyserve_llm.sources.refresh import hosted

    bases = [hosted.base_url(url) for url in urls]
    wanted = [
        cloud
        for cloud in load_clouds().values()
        if cloud.catalog and (not only or cloud.id in only)
    ]
    if not wanted:
        raise InputError(
            f"SkyPilot hosts no catalog of {', '.join(sorted(only))}",
            hint="`llmbudget prices refresh` without --cloud takes every cloud there is",
        )
    with _old_prices_stay_unless_done() as folder:
        incoming, cache = folder / "incoming", folder / "catalogs"
        found = hosted.download(bases, wanted, cache, incoming, today, limits, progress)
        try:
            rebuilt = rebuild([one.catalog for one in found.downloads], today)
        except DataError as error:
            # A broken file of the user's is bad input; the host's is not the user's fault.
            raise RefreshError(error.message, hint=error.hint) from error
        hosted.keep(found.downloads, cache)
    states: dict[str, State] = {
        one.catalog.cloud: "new" if one.fresh else "unchanged" for one in found.downloads
    }
    catalogs = [one.catalog for one in found.downloads]
    return _account(bases[0], today, catalogs, states, rebuilt, missing=found.missing)


def refresh_folder(folder: Path, only: Collection[str], today: date) -> Refreshed:
    """Takes the catalogs in a folder, of ``only`` these clouds if any are named.

    Raises InputError for a folder without catalogs, DataError for a broken one, RefreshError where
    the table cannot be made; the prices there were then stay in use.
    """
    found = find_catalogs(folder, load_clouds())
    catalogs = [one for one in found.catalogs if not only or one.cloud in only]
    if not catalogs:
        raise InputError(f"no catalog of {', '.join(sorted(only)) or 'a known cloud'} in {folder}")
    with _old_prices_stay_unless_done():
        rebuilt = rebuild(catalogs, today)
    states: dict[str, State] = {one.cloud: "local" for one in catalogs}
    return _account(str(folder), today, catalogs, states, rebuilt, ignored=found.strange)


def refresh_rows(
    rows: Collection[Row], today: date, replaces: Callable[[Row], bool] = lambda _: False
) -> int:
    """Lays single prices over the table in use (see ``rebuild.merge``); gives how many it has then.

    Raises RefreshError where the table cannot be made; the prices there were then stay in use.
    """
    with _old_prices_stay_unless_done():
        return merge(rows, today, replaces)


def _account(
    origin: str,
    today: date,
    catalogs: list[CatalogFile],
    states: Mapping[str, State],
    rebuilt: Rebuilt,
    missing: Collection[str] = (),
    ignored: Collection[str] = (),
) -> Refreshed:
    clouds = [
        CloudRefreshed(
            cloud=one.cloud,
            catalog=states[one.cloud],
            as_of=one.as_of or None,
            rows=rebuilt.rows[one.cloud],
            prices=rebuilt.prices[one.cloud],
        )
        for one in catalogs
    ]
    clouds += [
        CloudRefreshed(cloud=cloud, catalog="none", as_of=None, rows=0, prices=0)
        for cloud in missing
    ]
    return Refreshed(
        snapshot=today,
        origin=origin,
        prices=rebuilt.total,
        clouds=sorted(clouds, key=lambda one: one.cloud),
        dropped=rebuilt.dropped,
        ignored=sorted(ignored),
        history_lost=rebuilt.history_lost,
    )


@contextmanager
def _old_prices_stay_unless_done() -> Iterator[Path]:
    """Holds the lock on the folder of prices; an error in the block says what is used now."""
    folder = prices_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / "lock"):
            incoming = folder / "incoming"
            # A killed refresh may have left one.
            shutil.rmtree(incoming, ignore_errors=True)
            try:
                incoming.mkdir()
                yield folder
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
    except (RefreshError, DataError) as error:
        message = f"prices were not refreshed: {error.message}; {_in_use()}"
        raise type(error)(message, hint=error.hint) from error
    except OSError as error:
        raise RefreshError(
            f"prices were not refreshed: cannot write to {folder}: {error.strerror}; {_in_use()}",
            hint="is there room on the disk? LLMBUDGET_HOME names another place",
        ) from error


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """The only refresh of this home; the lock goes with the process, however it ends."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefreshError(
                "another refresh is under way", hint="wait for it to end and look at its prices"
            ) from None
        yield


def _in_use() -> str:
    try:
        return f"those of {table_in_use(load_gpus(), load_clouds())[1]} stay in use"
    except DataError as error:
        return f"those before cannot be read either: {error.message}"
