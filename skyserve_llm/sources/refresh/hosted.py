"""SkyPilot's hosted catalogs: downloaded all together, kept for the next time.

The copies lie under ``$LLMBUDGET_HOME/prices/catalogs``, each with what the server said of it, so
that a catalog that has not changed is not downloaded again. New ones wait beside them until the
table made of them is in use: a catalog that breaks the build is not taken for one we have.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

import httpx

from skyserve_llm import __version__
from skyserve_llm.errors import InputError, RefreshError
from skyserve_llm.sources.catalogs.folder import VERSION, CatalogFile
from skyserve_llm.sources.refresh.fetch import (
    Cached,
    Fetched,
    Limits,
    MissingError,
    fetch,
    http_date,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import date
    from pathlib import Path

    from skyserve_llm.sources.clouds import Cloud

HOSTED_URL = "https://raw.githubusercontent.com/skypilot-org/skypilot-catalog/master/catalogs"
"""Where SkyPilot itself downloads from (``HOSTED_CATALOG_DIR_URL`` in SkyPilot 0.14.1)."""

MIRROR_URL = "https://skypilot-catalog.s3.us-east-1.amazonaws.com/catalogs"
"""Where it goes when GitHub says that it asks too often (``HOSTED_CATALOG_DIR_URL_S3_MIRROR``)."""

AT_ONCE = 6

_NOTED = ("url", "etag", "last_modified", "sha256")


class Download(NamedTuple):
    """A catalog on this machine, and its note on where it came from; ``fresh`` just downloaded."""

    catalog: CatalogFile
    note: dict[str, str]
    fresh: bool


class Hosted(NamedTuple):
    """What a download brought. ``missing`` are the clouds of which the server has no catalog."""

    downloads: list[Download]
    missing: list[str]


def base_url(text: str) -> str:
    """The folder that holds the clouds' folders: ``…/catalogs`` and ``…/catalogs/v8`` both do.

    Raises InputError for anything but an HTTP URL.
    """
    try:
        parts = httpx.URL(text)
    except httpx.InvalidURL:
        parts = httpx.URL()
    if parts.scheme not in ("http", "https") or not parts.host:
        raise InputError(
            f"{text!r} is no http or https URL",
            hint="the catalog URL is a folder like SkyPilot's: <url>/v8/<cloud>/vms.csv",
        )
    url = text.rstrip("/")
    return url if url.endswith(f"/{VERSION}") else f"{url}/{VERSION}"


def download(
    urls: Sequence[str],
    clouds: Iterable[Cloud],
    cache: Path,
    incoming: Path,
    today: date,
    limits: Limits,
    progress: Callable[[str, int, int | None], None],
) -> Hosted:
    """Every cloud's catalog, new ones in ``incoming``; of a later URL where one before fails.

    ``progress`` is called with a cloud, the bytes received and how many there will be. Raises
    RefreshError as soon as one of them cannot be had, or if there is none at all.
    """
    hosted = asyncio.run(_download(urls, list(clouds), cache, incoming, today, limits, progress))
    if not hosted.downloads:
        raise RefreshError(f"no catalog of any cloud under {urls[0]}", hint="check the catalog URL")
    return hosted


async def _download(
    urls: Sequence[str],
    clouds: list[Cloud],
    cache: Path,
    incoming: Path,
    today: date,
    limits: Limits,
    progress: Callable[[str, int, int | None], None],
) -> Hosted:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(cloud: Cloud) -> Download | None:
        async with room:
            for url in urls[:-1]:
                with contextlib.suppress(RefreshError):
                    return await _catalog(
                        client, url, cloud, cache, incoming, today, limits, progress
                    )
            return await _catalog(client, urls[-1], cloud, cache, incoming, today, limits, progress)

    async with httpx.AsyncClient(
        timeout=limits.silence_seconds,
        follow_redirects=True,
        headers={"User-Agent": f"llmbudget/{__version__}"},
    ) as client:
        try:
            # The first that fails ends the others.
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(cloud)) for cloud in clouds]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
    found = [task.result() for task in tasks]
    return Hosted(
        downloads=[one for one in found if one],
        missing=[cloud.id for cloud, one in zip(clouds, found, strict=True) if not one],
    )


async def _catalog(
    client: httpx.AsyncClient,
    base: str,
    cloud: Cloud,
    cache: Path,
    incoming: Path,
    today: date,
    limits: Limits,
    progress: Callable[[str, int, int | None], None],
) -> Download | None:
    label = f"{cloud.catalog}/vms.csv"
    url = f"{base}/{label}"
    kept = cache / f"{cloud.catalog}.csv"
    fresh = incoming / kept.name
    note = _note(kept, url)
    cached = Cached(note["etag"], note["last_modified"]) if note else None
    try:
        fetched = await fetch(
            client, url, fresh, cached, limits, lambda done, total: progress(cloud.id, done, total)
        )
    except MissingError:
        return None
    except RefreshError as error:
        raise RefreshError(f"{label}: {error.message}", hint=error.hint) from error
    if fetched.changed:
        note = {
            "url": url,
            "etag": fetched.etag,
            "last_modified": fetched.last_modified,
            "sha256": _digest(fresh),
        }
    assert note is not None, "a server says 304 only to a condition, and we make one from a note"
    return Download(
        catalog=CatalogFile(
            cloud=cloud.id,
            path=fresh if fetched.changed else kept,
            label=label,
            source=f"skypilot-catalog {VERSION}/{label}",
            origin=url,
            as_of=_as_of(fetched, note["last_modified"], today),
        ),
        note=note,
        fresh=fetched.changed,
    )


def _as_of(fetched: Fetched, last_modified: str, today: date) -> str:
    """When the catalog's prices were true, as far as the server tells.

    The day the file was last changed, if the server says that; else the day it was asked, on which
    this is what SkyPilot's catalog said. '' where neither is a date. Never after ``today``.
    """
    moment = http_date(last_modified) or fetched.sent
    return min(moment.date(), today).isoformat() if moment else ""


def keep(downloads: Iterable[Download], cache: Path) -> None:
    """Makes new catalogs the ones we have. A note that outlives its file is found out by digest."""
    cache.mkdir(exist_ok=True)
    for one in downloads:
        if one.fresh:
            kept = cache / one.catalog.path.name
            one.catalog.path.replace(kept)
            kept.with_suffix(".json").write_text(json.dumps(one.note), encoding="utf-8")


def _note(kept: Path, url: str) -> dict[str, str] | None:
    """The note on a copy, if it is of this URL and of this very file."""
    try:
        note: dict[str, str] = json.loads(kept.with_suffix(".json").read_text(encoding="utf-8"))
        fits = note["url"] == url and note["sha256"] == _digest(kept)
        return {name: note[name] for name in _NOTED} if fits else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
