"""Azure's prices of today, on-demand and spot: the Retail Prices API. Needs no credentials.

https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices: pages of
items with the address of the next page in ``NextPageLink``.
"""

from __future__ import annotations

import asyncio
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from skyserve_llm.errors import RefreshError
from skyserve_llm.sources.live.machines import Answer
from skyserve_llm.sources.price_table import CLOUD, REGION
from skyserve_llm.sources.refresh.fetch import Limits
from skyserve_llm.sources.refresh.fetch import fetch as download

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date

    from skyserve_llm.sources.live.machines import Cloud
    from skyserve_llm.sources.price_table import Row

URL = "https://prices.azure.com/api/retail/prices"
API_VERSION = "2023-01-01-preview"
SOURCE = "azure-retail"

AT_ONCE = 4
"""Machines asked for at the same time; the API answers 429 to more eager clients."""

MOST_PAGES = 100
"""Of one machine. It has about 6 items (systems and tiers) in each of 60 regions, 100 a page."""


class Item(BaseModel):
    """One price of the list, as far as we look at it."""

    model_config = ConfigDict(alias_generator=to_camel)

    currency_code: str
    retail_price: Decimal
    arm_region_name: str
    product_name: str
    sku_name: str
    unit_of_measure: str
    type: str


class Page(BaseModel):
    """So many items, and where the next ones are."""

    Items: list[Item]
    NextPageLink: str | None


def fetch(
    known: Cloud,
    today: date,
    progress: Callable[[str], None],
    *,
    regions: Collection[str] = (),
    url: str = URL,
    limits: Limits | None = None,
) -> Answer:
    """Today's prices of every known machine in every region, or in ``regions``.

    Raises RefreshError where the API cannot be asked or answers something else.
    """
    rows = asyncio.run(_fetch(known, today, progress, regions, url, limits or Limits()))
    return Answer(
        rows, lambda row: row[CLOUD] == "azure" and (not regions or row[REGION] in regions)
    )


async def _fetch(
    known: Cloud,
    today: date,
    progress: Callable[[str], None],
    regions: Collection[str],
    url: str,
    limits: Limits,
) -> list[Row]:
    turn = asyncio.Semaphore(AT_ONCE)
    with tempfile.TemporaryDirectory(prefix="llmbudget-azure-") as folder:
        async with httpx.AsyncClient(timeout=limits.silence_seconds) as client:

            async def one(number: int, instance_type: str) -> list[Row]:
                async with turn:
                    target = Path(folder, str(number))
                    items = await _items(client, _question(url, instance_type), target, limits)
                rows = _rows(items, instance_type, known, today, regions)
                progress(f"azure/{instance_type}: {len(rows)} prices")
                return rows

            try:
                async with asyncio.TaskGroup() as group:
                    asked = [
                        group.create_task(one(number, name))
                        for number, name in enumerate(sorted(known.machines))
                    ]
            except ExceptionGroup as several:
                # The first to fail has ended the others: it is the one to tell of.
                raise several.exceptions[0] from several
    return [row for answer in asked for row in answer.result()]


def _question(url: str, instance_type: str) -> httpx.URL:
    name = instance_type.replace("'", "''")  # as OData quotes a quote
    wanted = (
        "serviceName eq 'Virtual Machines' and priceType eq 'Consumption' "
        f"and armSkuName eq '{name}'"
    )
    return httpx.URL(url, params={"api-version": API_VERSION, "$filter": wanted})


async def _items(
    client: httpx.AsyncClient, url: httpx.URL, target: Path, limits: Limits
) -> list[Item]:
    """The items of all pages. A page that points elsewhere, or for ever on, is refused."""
    items: list[Item] = []
    link = url
    for _ in range(MOST_PAGES):
        await download(client, str(link), target, None, limits, lambda *_: None)
        page = _page(target.read_bytes(), url.host)
        items += page.Items
        if not page.NextPageLink:
            return items
        link = _next(page.NextPageLink, url)
    raise RefreshError(f"Azure's price list has more than {MOST_PAGES} pages for one machine")


def _page(body: bytes, host: str) -> Page:
    try:
        return Page.model_validate_json(body)
    except ValidationError as error:
        raise RefreshError(f"{host} answered no page of Azure's price list") from error


def _next(link: str, url: httpx.URL) -> httpx.URL:
    """The next page's address, which must be the same server's."""
    try:
        following = httpx.URL(link)
    except httpx.InvalidURL as error:
        raise RefreshError(f"Azure's price list points to no address: {link!r}") from error
    if (following.scheme, following.host, following.port) != (url.scheme, url.host, url.port):
        raise RefreshError(
            f"Azure's price list points to {following.host}, which is not {url.host}"
        )
    return following


def _rows(
    items: list[Item], instance_type: str, known: Cloud, today: date, regions: Collection[str]
) -> list[Row]:
    """One row a region and tier: the lowest, should the list have several."""
    prices: dict[tuple[str, bool], Decimal] = {}
    for item in items:
        spot, region = _spot(item), item.arm_region_name
        if spot is None or not region or (regions and region not in regions):
            continue
        if item.retail_price.is_finite() and item.retail_price > 0:
            known_price = prices.get((region, spot), item.retail_price)
            prices[region, spot] = min(item.retail_price, known_price)
    return [
        known.row(
            region, "", instance_type, spot=spot, price=f"{price.normalize():f}", today=today,
            source=SOURCE,
        )
        for (region, spot), price in sorted(prices.items())
    ]  # fmt: skip


def _spot(item: Item) -> bool | None:
    """Whether an item is spot or on-demand of Linux by the hour in USD; None for anything else."""
    other = (
        item.currency_code != "USD"
        or item.unit_of_measure != "1 Hour"
        or item.type != "Consumption"
        or "Windows" in item.product_name
        # What spot was before: still listed, no longer sold.
        or "Low Priority" in item.sku_name
    )
    return None if other else item.sku_name.endswith(" Spot")
