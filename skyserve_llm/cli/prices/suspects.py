"""Marked prices, each with the numbers behind its marks."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from skyserve_llm.sources.suspicion import Price, findings
from skyserve_llm.types import MARKS, Offer


class Suspect(NamedTuple):
    """A marked price; ``reasons`` are pairs of a mark and why it has it, the gravest first."""

    offer: Offer
    reasons: tuple[tuple[str, str], ...]


def suspects(offers: Sequence[Offer]) -> list[Suspect]:
    """The marked ones of a whole table: the rules look at all of it."""
    found = []
    for offer, numbers in zip(offers, findings([_price(offer) for offer in offers]), strict=True):
        if offer.marks:
            why = {finding.mark: finding.why for finding in numbers}
            reasons = tuple((mark, why.get(mark, MARKS[mark])) for mark in offer.marks)
            found.append(Suspect(offer, reasons))
    return found


def counted(rows: Iterable[Suspect]) -> dict[str, int]:
    """How many prices have each mark, in the order of ``MARKS``."""
    marks = [mark for row in rows for mark, _ in row.reasons]
    return {mark: marks.count(mark) for mark in MARKS if mark in marks}


def _price(offer: Offer) -> Price:
    return Price(
        cloud=offer.cloud,
        region=offer.region,
        zone=offer.zone or "",
        instance_type=offer.instance_type,
        gpu=offer.gpu,
        gpu_count=offer.gpu_count,
        spot=offer.spot,
        usd=offer.price_per_hour,
        as_of=offer.as_of.isoformat() if offer.as_of else "",
        source=offer.source,
    )
