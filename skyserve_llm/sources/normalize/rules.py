"""Which raw prices are kept, and why the others are not.

Every raw price (a row holds one or two: on-demand and spot) is either kept or dropped for one
reason: kept + dropped is their number. Pure functions on values; the order of rows never matters.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from skyserve_llm.sources.normalize.quotes import SPOT_EQUAL, Quote, quotes_of, same_price

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import date

    from skyserve_llm.sources.clouds import Cloud
    from skyserve_llm.sources.normalize.raw import RawOffer

SUPERSEDED = "older catalog of a cloud that has a newer one"
NO_MACHINE = "whole-cloud price with no machine that SkyPilot could rent for it"
NO_SPOT = "spot on a cloud where SkyPilot has no spot"
DUPLICATE = "same offer in a better source"
SPOT_ABOVE = "spot above on-demand"
RESERVATION = "GCP on-demand below its own spot: a reservation price"

_TIER_SUFFIX = re.compile(r"-(on-demand|spot)$")


class Outcome(NamedTuple):
    """The kept quotes, sorted as the table is, and how many prices were dropped for what."""

    kept: list[Quote]
    dropped: dict[str, int]


def normalize(
    offers: Iterable[RawOffer],
    gpus: Collection[str],
    clouds: Mapping[str, Cloud],
    snapshot: date,
) -> Outcome:
    """The whole pipeline. Raises DataError for a cloud or a date that is not understood."""
    dropped: Counter[str] = Counter()
    quotes = [
        quote for offer in offers for quote in quotes_of(offer, gpus, clouds, snapshot, dropped)
    ]
    machines = _skypilot_machines(quotes)
    quotes = _drop(quotes, _superseded(quotes), SUPERSEDED, dropped)
    quotes = _place_listings(quotes, machines, clouds, dropped)
    quotes = _drop(
        quotes,
        lambda one: one.spot and clouds[one.cloud].skypilot and not clouds[one.cloud].spot,
        NO_SPOT,
        dropped,
    )
    quotes = _deduplicate(quotes, dropped)
    quotes = _sane_pairs(quotes, dropped)
    # A machine's prices in all places stand together, so that a refresh reads well as a diff.
    quotes.sort(key=lambda one: (one.cloud, one.gpu, one.gpu_count, *one.machine, one.spot))
    return Outcome(kept=quotes, dropped=dict(sorted(dropped.items())))


def _drop(
    quotes: Sequence[Quote], bad: Callable[[Quote], bool], reason: str, dropped: Counter[str]
) -> list[Quote]:
    kept = [quote for quote in quotes if not bad(quote)]
    if len(kept) < len(quotes):
        dropped[reason] += len(quotes) - len(kept)
    return kept


def _superseded(quotes: Iterable[Quote]) -> Callable[[Quote], bool]:
    newest: dict[str, int] = defaultdict(int)
    for quote in quotes:
        newest[quote.cloud] = max(newest[quote.cloud], quote.version)
    return lambda quote: 0 < quote.version < newest[quote.cloud]


_Machine = tuple[str, str]


def _skypilot_machines(
    quotes: Iterable[Quote],
) -> dict[tuple[str, str, int], set[_Machine]]:
    """SkyPilot's instance types and accelerator names for a cloud, card and count.

    Out of catalogs of any age: prices grow old, names of machines do not.
    """
    machines: dict[tuple[str, str, int], set[_Machine]] = defaultdict(set)
    for quote in quotes:
        if quote.version:
            key = (quote.cloud, quote.variant, quote.gpu_count)
            machines[key].add((quote.instance_type, quote.accelerator))
    return machines


def _place_listings(
    quotes: Iterable[Quote],
    machines: Mapping[tuple[str, str, int], set[_Machine]],
    clouds: Mapping[str, Cloud],
    dropped: Counter[str],
) -> list[Quote]:
    """Gives whole-cloud prices the machine that SkyPilot would rent for them.

    Where SkyPilot knows no such machine, or several, the price belongs to none of them. On a
    marketplace (Vast) a whole-cloud price is the lowest ask anywhere: it is nobody's price.
    """
    kept = []
    for quote in quotes:
        if quote.region:
            kept.append(quote)
        elif not clouds[quote.cloud].skypilot:
            machine = _TIER_SUFFIX.sub("", quote.instance_type)
            kept.append(quote._replace(instance_type=machine, accelerator=_skypilot_name(quote)))
        else:
            found = machines.get((quote.cloud, quote.variant, quote.gpu_count), set())
            if len(found) != 1 or quote.cloud == "vast":
                dropped[NO_MACHINE] += 1
                continue
            instance_type, accelerator = next(iter(found))
            kept.append(quote._replace(instance_type=instance_type, accelerator=accelerator))
    return kept


def _skypilot_name(quote: Quote) -> str:
    """SkyPilot's usual name for a card: it tells no PCIe variant apart outside RunPod."""
    return quote.gpu.removesuffix("-PCIe")


def _deduplicate(quotes: Iterable[Quote], dropped: Counter[str]) -> list[Quote]:
    best: dict[tuple[object, ...], Quote] = {}
    for quote in quotes:
        key = (*quote.machine, quote.spot)
        if key not in best:
            best[key] = quote
            continue
        dropped[DUPLICATE] += 1
        best[key] = max(best[key], quote, key=lambda one: one.rank)
    return list(best.values())


def _sane_pairs(quotes: Sequence[Quote], dropped: Counter[str]) -> list[Quote]:
    """Holds each spot price against the on-demand price of the same machine in the same place."""
    on_demand = {quote.machine: quote.price for quote in quotes if not quote.spot}
    spot = {quote.machine: quote.price for quote in quotes if quote.spot}

    def reserved(quote: Quote) -> bool:
        below = quote.machine in spot and quote.price < spot[quote.machine]
        return quote.cloud == "gcp" and not quote.spot and below

    def no_discount(quote: Quote) -> bool:
        known = quote.machine in on_demand
        return quote.spot and known and same_price(on_demand[quote.machine], quote.price)

    def dearer(quote: Quote) -> bool:
        # Spot is the smaller of the two by definition; where it is not, one of them is wrong.
        # On GCP that is known to be the on-demand price, elsewhere it is the spot price.
        ceiling = on_demand.get(quote.machine, quote.price)
        return quote.cloud != "gcp" and quote.spot and quote.price > ceiling

    kept = _drop(quotes, reserved, RESERVATION, dropped)
    kept = _drop(kept, no_discount, SPOT_EQUAL, dropped)
    return _drop(kept, dearer, SPOT_ABOVE, dropped)
