"""`llmbudget prices refresh`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skyserve_llm.cli import options, output

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from skyserve_llm.sources.refresh.job import Refreshed

SKY_CATALOGS = Path("~/.sky/catalogs")

FRESH_DAYS = 7
"""SkyPilot renews its catalogs every few hours while it is used: older ones belong to nobody."""


@click.command("refresh")
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Take the catalogs in this folder: ~/.sky/catalogs, or gpuhunt's.",
)
@click.option("--download", is_flag=True, help="Download even if ~/.sky/catalogs is there.")
@click.option(
    "--url",
    envvar="LLMBUDGET_CATALOG_URL",
    show_envvar=True,
    help="Download from here [SkyPilot's hosted catalogs].",
)
@click.option("--cloud", "clouds", multiple=True, help="Only this cloud (repeatable).")
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds to wait for a silent server.",
)
@options.output_option
def command(
    folder: Path | None,
    download: bool,
    url: str | None,
    clouds: tuple[str, ...],
    seconds: float,
    output_format: str,
) -> None:  # fmt: skip
    """Bring the price table up to date.

    Downloads SkyPilot's catalogs of every cloud, or takes those that SkyPilot left in
    ~/.sky/catalogs in the last days. Whatever fails, the prices there were stay in use.
    """
    if folder is not None and (download or url):
        raise click.UsageError(
            "--from takes catalogs from a folder: it needs no --download or --url"
        )
    from skyserve_llm.sources.settings import load_settings

    today = datetime.now(UTC).date()
    only = _known(clouds)
    url = url or load_settings().catalog_url
    if folder is None and not download and url is None:
        folder = _left_by_skypilot(today)
    refreshed = (
        _download(url, only, today, seconds)
        if folder is None
        else _take(folder.expanduser(), only, today)
    )
    if refreshed.history_lost:
        output.progress("the prices before could not be read: their history is lost")
    if output_format == "json":
        output.json_document(refreshed)
        return
    from skyserve_llm.cli.prices.refresh_tables import refresh_report

    output.tables(*refresh_report(refreshed))


def _known(names: tuple[str, ...]) -> frozenset[str]:
    from skyserve_llm.sources.clouds import cloud_id, load_clouds
    from skyserve_llm.sources.names import known_name

    clouds = load_clouds()
    return frozenset(known_name("cloud", cloud_id(name), clouds) for name in names)


def _left_by_skypilot(today: "date") -> Path | None:
    """SkyPilot's own folder of catalogs, if it holds any that are not old."""
    from skyserve_llm.errors import InputError
    from skyserve_llm.sources.catalogs.folder import find_catalogs
    from skyserve_llm.sources.clouds import load_clouds

    try:
        catalogs = find_catalogs(SKY_CATALOGS.expanduser(), load_clouds()).catalogs
    except InputError:
        return None
    newest = max((one.as_of for one in catalogs), default="")
    if not newest or (today - datetime.fromisoformat(newest).date()).days > FRESH_DAYS:
        return None
    output.progress(
        f"taking the catalogs that SkyPilot left in {SKY_CATALOGS}, the newest of {newest}; "
        "--download fetches new ones"
    )
    return SKY_CATALOGS


def _take(folder: Path, only: "Collection[str]", today: "date") -> "Refreshed":
    from skyserve_llm.sources.refresh.job import refresh_folder

    return refresh_folder(folder, only, today)


def _download(
    url: str | None, only: "Collection[str]", today: "date", seconds: float
) -> "Refreshed":
    from skyserve_llm.cli.bars import download_bar
    from skyserve_llm.sources.refresh.fetch import Limits
    from skyserve_llm.sources.refresh.hosted import HOSTED_URL, MIRROR_URL
    from skyserve_llm.sources.refresh.job import refresh_hosted

    limits = Limits(silence_seconds=seconds)
    with download_bar() as progress:
        urls = [url] if url else [HOSTED_URL, MIRROR_URL]
        return refresh_hosted(urls, only, today, limits, progress)
