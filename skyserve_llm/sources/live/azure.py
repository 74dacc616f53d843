"""Azure's prices of today, on-demand and spot: the Retail Prices API. Needs no credentials.

https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices: pages of
items with the address of the next page in ``NextPageLink``.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

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

Item = dict[str, Any]


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

            async def one(instance_type: str) -> list[Row]:
                async with turn:
                    target = Path(folder, instance_type)
                    items = await _items(client, _question(url, instance_type), target, limits)
                rows = _rows(items, instance_type, known, today, regions)
                progress(f"azure/{instance_type}: {len(rows)} prices")
                return rows

            found = await asyncio.gather(*(one(name) for name in sorted(known.machines)))
    return [row for rows in found for row in rows]


def _question(url: str, instance_type: str) -> httpx.URL:
    wanted = (
        "serviceName eq 'Virtual Machines' and priceType eq 'Consumption' "
        f"and armSkuName eq '{instance_type}'"
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
        page = _page(target.read_bytes(), link)
        items += page["Items"]
        if not page["NextPageLink"]:
            return items
        link = httpx.URL(page["NextPageLink"])
        if (link.scheme, link.host, link.port) != (url.scheme, url.host, url.port):
            raise RefreshError(f"Azure's price list points to {link.host}, which is not {url.host}")
    raise RefreshError(f"Azure's price list has more than {MOST_PAGES} pages for one machine")


def _page(body: bytes, link: httpx.URL) -> dict[str, Any]:
    try:
        page = json.loads(body, parse_float=Decimal)
        if isinstance(page["Items"], list) and "NextPageLink" in page:
            return dict(page)
    except (ValueError, KeyError, TypeError):
        pass
    raise RefreshError(f"{link.host} answered no page of Azure's price list")


def _rows(
    items: list[Item], instance_type: str, known: Cloud, today: date, regions: Collection[str]
) -> list[Row]:
    """One row a region and tier: the lowest, should the list have several."""
    prices: dict[tuple[str, bool], Decimal] = {}
    for item in items:
        region, price = item.get("armRegionName") or "", Decimal(str(item.get("retailPrice") or 0))
        if not region or price <= 0 or (regions and region not in regions):
            continue
        tier = _spot(item)
        if tier is not None:
            key = region, tier
            prices[key] = min(price, prices.get(key, price))
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
        item.get("currencyCode") != "USD"
        or item.get("unitOfMeasure") != "1 Hour"
        or item.get("type") != "Consumption"
        or "Windows" in str(item.get("productName"))
        # What spot was before: still listed, no longer sold.
        or "Low Priority" in str(item.get("skuName"))
    )
    return None if other else str(item.get("skuName")).endswith(" Spot")
