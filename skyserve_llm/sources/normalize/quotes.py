"""The prices of one raw row: what can be told of them before any other row is looked at.

A row that cannot be used names the reason. Knows no other row, and no rule about several.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from skyserve_llm.errors import DataError
from skyserve_llm.sources.clouds import cloud_id
from skyserve_llm.sources.normalize.naming import AMBIGUOUS, card, single_card
from skyserve_llm.sources.normalize.provenance import parse_as_of, parse_source

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Collection, Mapping
    from datetime import date

    from skyserve_llm.sources.normalize.provenance import Source
    from skyserve_llm.sources.normalize.raw import RawOffer

GPU_COUNTS = (1, 2, 4, 8, 16)

NO_PRICE = "no price at all"
ZERO_PRICE = "price of zero: not known, or not on offer"
BAD_PRICE = "price not a positive number"
BAD_COUNT = "GPU count not 1, 2, 4, 8 or 16"
GPU_ONLY = "price of the GPU alone, vCPU and RAM billed apart"
OTHER_TIER = "tier neither on-demand nor spot: marketplace, community, prototyping"
NOT_A_GPU = "TPU: vLLM on it is another program"
UNKNOWN_GPU = "GPU not in gpus.csv"
AMBIGUOUS_GPU = "GPU variant (memory, SXM or PCIe) cannot be told from the row"
OTHER_MEMORY = "GPU with another memory than the card it is called by"
NOWHERE = "no region: on offer nowhere"
SPOT_EQUAL = "spot equal to on-demand: no discount"

_GPU_ONLY_CLOUDS = {"coreweave", "modal", "salad"}
_OTHER_TIER = re.compile(r"-(marketplace|community|prototyping)$")

_MEMORY_OF_DRIVER = {"vast"}
"""Where a row's GPU memory is what the machine's own driver reports, not a price list's figure:
Vast rents out RTX 4090s that were refitted with 48 GB, by the name of the plain card."""


class Quote(NamedTuple):
    """One price on its way into the table. ``variant`` is the card, ``gpu`` its gpus.csv row."""

    cloud: str
    region: str
    zone: str
    instance_type: str
    variant: str
    gpu: str
    accelerator: str
    gpu_count: int
    spot: bool
    price: Decimal
    as_of: str
    source: str
    version: int
    foreign: bool

    @property
    def machine(self) -> tuple[str, str, str, str, int]:
        """A machine in a place: what has at most one on-demand and one spot price."""
        return self.cloud, self.region, self.zone, self.instance_type, self.gpu_count

    @property
    def rank(self) -> tuple[str, int, Decimal, str, str]:
        """The better source sorts higher: dated, later, newer; of one source the lower price.

        A catalog that has a machine twice in a place offers it at either price. What remains only
        decides ties.
        """
        return self.as_of, self.version, -self.price, self.source, self.accelerator


def count_prices(offer: RawOffer) -> int:
    """How many prices a raw row counts for: a row with none counts as one, dropped."""
    return max(1, bool(offer.price) + bool(offer.spot))


def quotes_of(
    offer: RawOffer,
    gpus: Mapping[str, int],
    clouds: Collection[str],
    snapshot: date,
    dropped: Counter[str],
) -> list[Quote]:
    """A raw row's prices, each kept or counted in ``dropped`` for what the row alone can tell.

    ``gpus`` are the known cards with their memory in MiB. Raises DataError for a cloud that is not
    in ``clouds`` and a date that is not understood.
    """
    cloud = cloud_id(offer.cloud)
    if cloud not in clouds:
        raise DataError(f"unknown cloud {offer.cloud!r}", hint="add it to pricing/clouds.csv")
    as_of = parse_as_of(offer.asof, snapshot)
    source = parse_source(offer.source)
    variant = card(cloud, offer.acc, offer.instance_type, offer.gpu_mib)
    reason = _flaw(offer, cloud, source, variant, gpus)
    if not offer.price and not offer.spot:
        dropped[reason or NO_PRICE] += 1
        return []
    quotes = []
    for spot, text in ((False, offer.price), (True, offer.spot)):
        if not text:
            continue
        price = _price(text)
        if reason or not price or price < 0:
            dropped[reason or (ZERO_PRICE if price == 0 else BAD_PRICE)] += 1
            continue
        assert variant is not AMBIGUOUS
        gpu_count = int(offer.gpu_count)
        quotes.append(
            Quote(
                cloud=cloud,
                region=offer.region,
                zone=offer.zone,
                instance_type=offer.instance_type,
                variant=variant,
                gpu=single_card(variant, gpu_count),
                accelerator=offer.acc,
                gpu_count=gpu_count,
                spot=spot,
                price=price,
                as_of=as_of,
                source=source.id,
                version=source.version,
                foreign=source.foreign,
            )
        )
    if len(quotes) == 2 and same_price(quotes[0].price, quotes[1].price):
        dropped[SPOT_EQUAL] += 1
        quotes.pop()
    return quotes


def _flaw(
    offer: RawOffer, cloud: str, source: Source, variant: str | None, gpus: Mapping[str, int]
) -> str | None:
    """Why none of a row's prices can be used, if so."""
    # A price list has one price for a whole cloud, a catalog one for each place.
    listing = not offer.region and not source.version
    if listing and cloud in _GPU_ONLY_CLOUDS:
        return GPU_ONLY
    if listing and _OTHER_TIER.search(offer.instance_type):
        return OTHER_TIER
    if offer.acc.startswith("tpu-"):
        return NOT_A_GPU
    if not offer.gpu_count.isdecimal() or int(offer.gpu_count) not in GPU_COUNTS:
        return BAD_COUNT
    if variant is AMBIGUOUS:
        return AMBIGUOUS_GPU
    gpu = single_card(variant, int(offer.gpu_count))
    if gpu not in gpus:
        return UNKNOWN_GPU
    if cloud in _MEMORY_OF_DRIVER and offer.gpu_mib and abs(offer.gpu_mib / gpus[gpu] - 1) > 0.1:
        return OTHER_MEMORY
    if not offer.region and not listing:
        return NOWHERE
    return None


def same_price(on_demand: Decimal, spot: Decimal) -> bool:
    """Spot prices come rounded to four places: 30.0978 is an on-demand price of 30.09784."""
    return on_demand == spot or round(on_demand, 4) == round(spot, 4)


@cache
def _price(text: str) -> Decimal | None:
    try:
        price = Decimal(text)
    except InvalidOperation:
        return None
    return price if price.is_finite() else None
