"""What importers hand around: a machine as a catalog has it, and what a whole catalog came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections import Counter

    from skyserve_llm.sources.normalize.raw import RawOffer


class Machine(NamedTuple):
    """A row of a catalog: prices USD an hour and counts as text, '' where there is none."""

    instance_type: str
    acc: str
    gpu_count: str
    vcpus: str
    mem_gib: str
    region: str
    zone: str
    price: str
    spot: str
    gpu_info: str


class Imported(NamedTuple):
    """What a catalog holds. ``rows`` counts those with a GPU; ``dropped`` why some are no offer."""

    offers: list[RawOffer]
    rows: int
    dropped: Counter[str]
