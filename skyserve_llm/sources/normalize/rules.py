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
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date

    from skyserve_llm.sources.clouds import Cloud
    from skyserve_llm.sources.normalize.raw import RawOffer

SUPERSEDED = "older catalog of a cloud that has a newer one"
NO_MACHINE = "no machine, or not one alone, that SkyPilot could rent for the price"
NO_SPOT = "spot on a cloud where SkyPilot has no spot"
DUPLICATE = "same offer in a better source"

_TIER_SUFFIX = re.compile(r"-(on-demand|spot)$")


Machines = dict[tuple[str, str, int], set[tuple[str, str]]]
"""SkyPilot's instance types and accelerator names for a cloud, card and count."""


class Outcome(NamedTuple):
    """The kept quotes, sorted as the table is, and how many prices were dropped for what."""

    kept: list[Quote]
    dropped: dict[str, int]


def normalize(
    offers: Iterable[RawOffer],
    gpus: Mapping[str, int],
    clouds: Mapping[str, Cloud],
    snapshot: date,
    machines: Machines | None = None,
) -> Outcome:
    """The whole pipeline.

    ``gpus`` are the known cards with their memory in MiB; ``machines`` what SkyPilot is known to
    rent beside what these offers say of it. Raises DataError for a cloud or a date that is not
    understood.
    """
    dropped: Counter[str] = Counter()
    quotes = [
        quote for offer in offers for quote in quotes_of(offer, gpus, clouds, snapshot, dropped)
    ]
    known = _skypilot_machines(quotes, machines or {})
    quotes = _drop(quotes, _superseded(quotes), SUPERSEDED, dropped)
    quotes = _name_machines(quotes, known, clouds, dropped)
    quotes = _drop(
        quotes,
        lambda one: one.spot and clouds[one.cloud].skypilot and not clouds[one.cloud].spot,
        NO_SPOT,
        dropped,
    )
    quotes = _deduplicate(quotes, dropped)
    quotes = _with_a_discount(quotes, dropped)
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


def _skypilot_machines(quotes: Iterable[Quote], known: Machines) -> Machines:
    """Out of catalogs of any age: prices grow old, names of machines do not."""
    machines: Machines = defaultdict(set)
    for key, found in known.items():
        machines[key] |= found
    for quote in quotes:
        if quote.version:
            key = (quote.cloud, quote.variant, quote.gpu_count)
            machines[key].add((quote.instance_type, quote.accelerator))
    return machines


def _name_machines(
    quotes: Iterable[Quote],
    machines: Machines,
    clouds: Mapping[str, Cloud],
    dropped: Counter[str],
) -> list[Quote]:
    """Gives a price of a list, or of another program's catalog, the machine SkyPilot would rent.

    Where SkyPilot knows no such machine, or several, the price belongs to none of them. On a
    marketplace (Vast) such a price is one host's ask, or the lowest anywhere: it is nobody's price.
    """
    kept = []
    for quote in quotes:
        if quote.region and not quote.foreign:
            kept.append(quote)
        elif not clouds[quote.cloud].skypilot:
            machine = _TIER_SUFFIX.sub("", quote.instance_type)
            kept.append(quote._replace(instance_type=machine, accelerator=_skypilot_name(quote)))
        else:
            found = machines.get((quote.cloud, quote.variant, quote.gpu_count), set())
            same = {one for one in found if one[0] == quote.instance_type}
            choice = same or found
            if len(choice) != 1 or quote.cloud == "vast":
                dropped[NO_MACHINE] += 1
                continue
            instance_type, accelerator = next(iter(choice))
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


def _with_a_discount(quotes: Sequence[Quote], dropped: Counter[str]) -> list[Quote]:
    """Without spot prices that another source's on-demand price of the machine equals.

    What else is wrong with a price is for ``suspicion`` to mark.
    """
    on_demand = {quote.machine: quote.price for quote in quotes if not quote.spot}

    def no_discount(quote: Quote) -> bool:
        if not quote.spot:
            return False
        price = on_demand.get(quote.machine)
        return price is not None and same_price(price, quote.price)

    return _drop(quotes, no_discount, SPOT_EQUAL, dropped)
