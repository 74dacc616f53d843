"""Which prices not to trust, and why: pure rules over a whole price table.

A suspect price is kept, marked and never chosen silently. The rules look at other rows, so they
run when a table is made (and over a user's own table when it is read), not on the way of a plan:
there the column ``marks`` is read. What each mark means stands in ``types.MARKS``; ``undated``,
which any row shows by itself, is not written into a table: the loader adds it. Knows nothing of
files or of models.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from skyserve_llm.sources.zones import local_zone
from skyserve_llm.units import usd_per_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

LOW_SHARE = Decimal("0.6")
"""Of the GPU's median over clouds. Honest on-demand prices of one card lie closer together."""

FAR = 10
"""Times the GPU's median over clouds, either way: a slipped decimal point, a wrong unit."""

FLOOR_SHARE = Decimal("0.15")
"""Of on-demand. AWS, Azure and GCP say that spot is "up to 90 %" (GCP 91 %) below on-demand: a
price near that floor is a pool that nobody wanted on some day, not one to plan a month with."""

LEVEL_GAP = Decimal(4) / 3
"""Between two levels of one GCP machine's prices. Its regions' list prices rise in steps of at
most 1.2; reservation prices (Dynamic Workload Scheduler) stand about 0.5 to 0.7 of the list's, and
SkyPilot's catalog holds one or the other for a region."""


class Price(NamedTuple):
    """One row of a price table. ``usd`` an hour for all its GPUs; ``as_of`` '' where undated."""

    cloud: str
    region: str
    zone: str
    instance_type: str
    gpu: str
    gpu_count: int
    spot: bool
    usd: Decimal
    as_of: str
    source: str

    @property
    def per_gpu(self) -> Decimal:
        return self.usd / self.gpu_count


class Finding(NamedTuple):
    """One mark on one price, and the numbers behind it."""

    mark: str
    why: str


def marks(prices: Sequence[Price]) -> list[str]:
    """The cell ``marks`` of each row of a table: names in order, a space between, often ''."""
    return [" ".join(finding.mark for finding in found) for found in findings(prices)]


def findings(prices: Sequence[Price]) -> list[tuple[Finding, ...]]:
    """What is suspect about each price of a table, beside its date. The order of rows is free."""
    market = _Market(prices)
    return [tuple(_findings(price, market)) for price in prices]


# --- the rules -------------------------------------------------------------------------------


def _findings(price: Price, market: _Market) -> Iterator[Finding]:
    yield from _against_own_pair(price, market)
    yield from _against_median(price, market)
    yield from _against_own_cloud(price, market)
    if local_zone(price.cloud, price.zone):
        yield Finding("local_zone", f"{price.zone} is a Local Zone of {price.region}")
    yield from _against_other_source(price, market)


def _against_own_pair(price: Price, market: _Market) -> Iterator[Finding]:
    """Spot and on-demand of one machine in one place. Spot is the lower by definition."""
    spot, on_demand = market.spot.get(_machine(price)), market.on_demand.get(_machine(price))
    if spot is None or on_demand is None:
        return
    # Spot prices come rounded to four places.
    if round(spot, 4) > round(on_demand, 4):
        # On GCP it is known to be the on-demand price that is wrong; either is not to be trusted.
        if price.spot or price.cloud == "gcp":
            yield Finding(
                "spot_above_on_demand",
                f"spot {usd_per_hour(spot)} is above on-demand {usd_per_hour(on_demand)}",
            )
    elif price.spot and not price.as_of and spot < FLOOR_SHARE * on_demand:
        yield Finding(
            "spot_floor",
            f"undated spot at {spot / on_demand:.1%} of on-demand {usd_per_hour(on_demand)}",
        )


def _against_median(price: Price, market: _Market) -> Iterator[Finding]:
    """A card's price beside what the clouds ask for it on-demand."""
    level = market.gpus.get(price.gpu)
    if level is None:
        return
    share = price.per_gpu / level.median
    beside = f"the median of {usd_per_hour(level.median)} a GPU over {level.clouds} clouds"
    if share * FAR < 1 or share > FAR:
        yield Finding("off_market", f"{share:.2g} times {beside}")
    elif not price.spot and share < LOW_SHARE:
        yield Finding("below_market", f"{share:.1%} of {beside}")


def _against_own_cloud(price: Price, market: _Market) -> Iterator[Finding]:
    """The lower of two levels that one GCP machine's on-demand prices fall into."""
    level = market.upper_level.get((price.instance_type, price.gpu_count))
    if price.cloud == "gcp" and not price.spot and level is not None and price.usd < level:
        yield Finding(
            "reservation",
            f"other regions of gcp ask {usd_per_hour(level)} and more: likely a reservation price",
        )


def _against_other_source(price: Price, market: _Market) -> Iterator[Finding]:
    """The lower of two prices of one machine, one of them a list's for the whole cloud."""
    for other in market.rivals.get(_kind(price), ()):
        apart = bool(other.region) != bool(price.region) and other.source != price.source
        # A list gives whole cents.
        if apart and round(price.usd, 2) < round(other.usd, 2):
            when = other.as_of or "undated"
            yield Finding(
                "disputed", f"{other.source} ({when}) has it for {usd_per_hour(other.usd)}"
            )
            return


# --- what a row is held against ----------------------------------------------------------------


def _machine(price: Price) -> tuple[str, str, str, str, int]:
    """What has at most one on-demand and one spot price."""
    return price.cloud, price.region, price.zone, price.instance_type, price.gpu_count


def _kind(price: Price) -> tuple[str, str, int, bool]:
    """A machine on any place of its cloud."""
    return price.cloud, price.instance_type, price.gpu_count, price.spot


class _Level(NamedTuple):
    median: Decimal
    clouds: int


class _Market:
    """What rules compare with, gathered once for a table."""

    def __init__(self, prices: Sequence[Price]) -> None:
        self.on_demand = {_machine(one): one.usd for one in prices if not one.spot}
        self.spot = {_machine(one): one.usd for one in prices if one.spot}
        self.gpus = _medians(prices)
        self.upper_level = _upper_levels(prices)
        self.rivals = _rivals(prices)


def _medians(prices: Iterable[Price]) -> dict[str, _Level]:
    """Each GPU's on-demand price, the median over clouds.

    A cloud speaks once, however many rows it has: with the median over its places of the cheapest
    machine in each, so that neither one wrong row nor a large machine around a single GPU counts.
    """
    places: dict[str, dict[str, dict[tuple[str, str], Decimal]]]
    places = defaultdict(lambda: defaultdict(dict))
    for one in prices:
        if not one.spot:
            cheapest = places[one.gpu][one.cloud]
            place = (one.region, one.zone)
            cheapest[place] = min(one.per_gpu, cheapest.get(place, one.per_gpu))
    return {
        gpu: _Level(_median(_median(here.values()) for here in clouds.values()), len(clouds))
        for gpu, clouds in places.items()
    }


def _upper_levels(prices: Iterable[Price]) -> Mapping[tuple[str, int], Decimal]:
    """The lowest price above the widest gap among a GCP machine's, where there is such a gap."""
    levels: dict[tuple[str, int], set[Decimal]] = defaultdict(set)
    for one in prices:
        if one.cloud == "gcp" and not one.spot:
            levels[one.instance_type, one.gpu_count].add(one.usd)
    found = {}
    for machine, level in levels.items():
        steps = sorted(level)
        gap, above = max(
            ((high / low, high) for low, high in pairwise(steps)),
            default=(Decimal(1), Decimal(0)),
        )
        if gap >= LEVEL_GAP:
            found[machine] = above
    return found


def _rivals(prices: Iterable[Price]) -> dict[tuple[str, str, int, bool], list[Price]]:
    """The prices of each machine that has one for its whole cloud beside those of places.

    Of a source's places only the cheapest is held against the list.
    """
    cheapest: dict[tuple[str, str, int, bool], dict[tuple[bool, str], Price]] = defaultdict(dict)
    for one in prices:
        of_kind, key = cheapest[_kind(one)], (bool(one.region), one.source)
        of_kind[key] = min(one, of_kind.get(key, one), key=lambda price: (price.usd, price))
    return {
        kind: sorted(here.values(), key=lambda price: (price.usd, price))
        for kind, here in cheapest.items()
        if len({placed for placed, _ in here}) == 2
    }


def _median(values: Iterable[Decimal]) -> Decimal:
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
