"""What the market for a GPU looks like: of each cloud the cheapest, how far zones lie apart, what
spot saves, how old it all is. Pure: offers in, rows out; knows no table and no clock."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from skyserve_llm.types import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRow:
    """A cloud's cheapest price for so many of a GPU, spot or on-demand, and those around it.

    Where that price is suspect, the cheapest trusted one is a row of its own. ``lowest``,
    ``median`` and ``highest`` are over ``places`` (zones, or regions where a cloud prices by
    those), the cheapest machine of each. ``discount`` is the share that spot saves of on-demand of
    the same machine in the same place, or of its cheapest on-demand price in the cloud; None where
    there is none. ``age_days`` None is unknown.
    """

    cloud: str
    gpu: str
    gpu_count: int
    spot: bool
    price_per_hour: Decimal
    price_per_gpu_hour: Decimal
    region: str
    zone: str | None
    instance_type: str
    accelerator: str
    places: int
    lowest: Decimal
    median: Decimal
    highest: Decimal
    discount: float | None
    as_of: date | None
    age_days: int | None
    source: str
    marks: tuple[str, ...]


def market_rows(offers: Iterable[Offer], today: date) -> list[MarketRow]:
    """The rows of every cloud, GPU, count and kind, the cheapest first."""
    groups: dict[tuple[str, str, int, bool], list[Offer]] = defaultdict(list)
    on_demand: dict[tuple[str, str, int], list[Offer]] = defaultdict(list)
    for offer in offers:
        groups[offer.cloud, offer.gpu, offer.gpu_count, offer.spot].append(offer)
        if not offer.spot:
            on_demand[_machine(offer)].append(offer)
    rows = []
    for group in groups.values():
        spread = _spread(group)
        for offer in _shown(group):
            discount = _discount(offer, on_demand.get(_machine(offer), ())) if offer.spot else None
            rows.append(_row(offer, spread, discount, today))
    rows.sort(key=lambda row: (row.price_per_hour, row.cloud, row.gpu, row.gpu_count, row.spot))
    return rows


def _shown(group: Sequence[Offer]) -> list[Offer]:
    """The cheapest, and where that is suspect the cheapest to trust."""
    ordered = sorted(group, key=_order)
    trusted = next((offer for offer in ordered if not offer.suspect), None)
    return list(dict.fromkeys((ordered[0], trusted or ordered[0])))


def _order(offer: Offer) -> tuple[Decimal, bool, str, str, str]:
    return (
        offer.price_per_hour, offer.suspect, offer.region, offer.zone or "", offer.instance_type,
    )  # fmt: skip


def _machine(offer: Offer) -> tuple[str, str, int]:
    return offer.cloud, offer.instance_type, offer.gpu_count


def _spread(group: Iterable[Offer]) -> list[Decimal]:
    """The cheapest price of each place, ascending."""
    cheapest: dict[tuple[str, str | None], Decimal] = {}
    for offer in group:
        place = offer.region, offer.zone
        cheapest[place] = min(offer.price_per_hour, cheapest.get(place, offer.price_per_hour))
    return sorted(cheapest.values())


def _discount(spot: Offer, on_demand: Sequence[Offer]) -> float | None:
    if not on_demand:
        return None
    here = [one for one in on_demand if (one.region, one.zone) == (spot.region, spot.zone)]
    full = min(one.price_per_hour for one in here or on_demand)
    return round(float(1 - spot.price_per_hour / full), 3)


def _row(offer: Offer, spread: Sequence[Decimal], discount: float | None, today: date) -> MarketRow:
    middle = len(spread) // 2
    median = spread[middle] if len(spread) % 2 else (spread[middle - 1] + spread[middle]) / 2
    return MarketRow(
        cloud=offer.cloud,
        gpu=offer.gpu,
        gpu_count=offer.gpu_count,
        spot=offer.spot,
        price_per_hour=offer.price_per_hour,
        price_per_gpu_hour=round(offer.price_per_hour / offer.gpu_count, 6).normalize(),
        region=offer.region,
        zone=offer.zone,
        instance_type=offer.instance_type,
        accelerator=offer.accelerator,
        places=len(spread),
        lowest=spread[0],
        median=median,
        highest=spread[-1],
        discount=discount,
        as_of=offer.as_of,
        age_days=(today - offer.as_of).days if offer.as_of else None,
        source=offer.source,
        marks=offer.marks,
    )
