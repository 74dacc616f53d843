"""The normalized tables as text: offers, sources, GPUs, and the snapshot's own account.

Knows the columns of what is written and how a raw GPU fact is spelled there; decides nothing
about prices.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

from skyserve_llm.errors import DataError
from skyserve_llm.sources.gpus import COLUMNS as GPU_COLUMNS
from skyserve_llm.sources.normalize.provenance import as_of_note, parse_source
from skyserve_llm.sources.normalize.quotes import count_prices
from skyserve_llm.sources.price_table import COLUMNS as OFFER_COLUMNS
from skyserve_llm.sources.price_table import mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date
    from decimal import Decimal

    from skyserve_llm.sources.normalize.quotes import Quote
    from skyserve_llm.sources.normalize.raw import RawGpu, RawOffer
    from skyserve_llm.sources.normalize.rules import Outcome
    from skyserve_llm.sources.price_table import Row

SOURCE_COLUMNS = ("id", "what", "url", "commit", "licence", "as_of_note")


def offer_rows(kept: Iterable[Quote]) -> list[Row]:
    """Quotes as rows of a price table, all but their marks, in the same order."""
    return [
        [
            quote.cloud,
            quote.region,
            quote.zone,
            quote.instance_type,
            quote.gpu,
            quote.accelerator,
            str(quote.gpu_count),
            "1" if quote.spot else "0",
            _plain(quote.price),
            quote.as_of,
            quote.source,
        ]
        for quote in kept
    ]


@cache
def _plain(price: Decimal) -> str:
    """Decimal text: never 1E+2, no zeros that say nothing."""
    return f"{price.normalize():f}"


def offers_table(kept: Iterable[Quote]) -> str:
    rows = offer_rows(kept)
    mark(rows)
    return _csv(OFFER_COLUMNS, rows)


def sources_table(offers: Iterable[RawOffer], kept: Iterable[Quote]) -> str:
    """The sources that kept prices come from, with all that their rows say of their age."""
    used = {quote.source for quote in kept}
    notes = defaultdict(set)
    sources = {}
    for offer in offers:
        source = parse_source(offer.source)
        if source.id in used:
            sources[source.id] = source
            notes[source.id].add(as_of_note(offer.asof))
    return _csv(
        SOURCE_COLUMNS,
        (
            (
                source.id,
                source.what,
                source.url,
                source.commit,
                source.licence,
                "; ".join(sorted(notes[source.id])),
            )
            for source in sorted(sources.values())
        ),
    )


def gpus_table(gpus: Sequence[RawGpu]) -> str:
    """In the input's order, which goes by age and size of the cards."""
    return _csv(
        GPU_COLUMNS,
        (
            (
                gpu_name(gpu),
                gpu.driver_mib,
                gpu.mem_bw_gbs,
                gpu.fp16_dense_tflops,
                gpu.fp8_dense_tflops,
                _flag(gpu),
                gpu.cc,
                _link(gpu.link),
                gpu.link_per_gpu_gbs_1dir,
                f"memory: {gpu.driver_src}; facts: {facts}",
                gpu.verified,
            )
            for gpu, facts in zip(gpus, _fact_sources(gpus), strict=True)
        ),
    )


def snapshot_text(snapshot: date, offers: Sequence[RawOffer], outcome: Outcome) -> str:
    account = {
        "snapshot": snapshot.isoformat(),
        "raw_rows": len(offers),
        "raw_prices": sum(count_prices(offer) for offer in offers),
        "rows": len(outcome.kept),
        "dated_rows": sum(bool(quote.as_of) for quote in outcome.kept),
        "dropped": outcome.dropped,
    }
    return json.dumps(account, indent=2) + "\n"


def gpu_name(gpu: RawGpu) -> str:
    """SXM is the plain card, other forms stand in the name: ``'A100-80GB (SXM)'`` -> A100-80GB."""
    return gpu.name.replace(" (SXM)", "").replace(" (PCIe)", "-PCIe")


def gpu_memory(gpu: RawGpu) -> int:
    """MiB. Raises DataError for anything but a whole number of them."""
    if not gpu.driver_mib.isdecimal():
        raise DataError(f"{gpu.name}: driver_mib {gpu.driver_mib!r} is no whole number of MiB")
    return int(gpu.driver_mib)


def _fact_sources(gpus: Iterable[RawGpu]) -> list[str]:
    """A raw row may say "same" for the source of the row before it."""
    sources: list[str] = []
    for gpu in gpus:
        same = gpu.facts_src == "same" and sources
        sources.append(sources[-1] if same else gpu.facts_src)
    return sources


def _flag(gpu: RawGpu) -> str:
    if gpu.bf16_native not in ("yes", "no"):
        raise DataError(f"{gpu.name}: bf16_native {gpu.bf16_native!r} is neither yes nor no")
    return "1" if gpu.bf16_native == "yes" else "0"


def _link(text: str) -> str:
    """The link itself, without where it is found: ``'NVLink3 (SXM; p4d)'`` -> ``'NVLink3'``."""
    return re.split(r" \(| only| on ", text, maxsplit=1)[0]


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
