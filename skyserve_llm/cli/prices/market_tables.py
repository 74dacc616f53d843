"""Prices as tables: the wording and layout of `prices`. Returns renderables, prints nothing."""

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from skyserve_llm.cli.prices.suspects import Suspect
from skyserve_llm.cli.tables import infra, plain_table
from skyserve_llm.sources.history import HistoryRow
from skyserve_llm.sources.market import MarketRow
from skyserve_llm.types import MARKS
from skyserve_llm.units import usd_per_hour


def market_report(rows: Sequence[MarketRow], total: int, snapshot: str) -> Iterator[Table | Text]:
    table = plain_table(
        "INFRA", "INSTANCE", "GPUS", "SPOT", "$/hr", "$/GPU", "ZONES", "LOWEST", "MEDIAN",
        "HIGHEST", "SAVES", "AGE", "MARK", right={4, 5, 6, 7, 8, 9, 10, 11},
    )  # fmt: skip
    for row in rows:
        table.add_row(
            infra(row.cloud, row.region, row.zone),
            row.instance_type,
            f"{row.gpu}:{row.gpu_count}",
            "spot" if row.spot else "",
            usd_per_hour(row.price_per_hour),
            usd_per_hour(row.price_per_gpu_hour),
            str(row.places),
            usd_per_hour(row.lowest),
            usd_per_hour(row.median),
            usd_per_hour(row.highest),
            "" if row.discount is None else f"{row.discount:.0%}",
            "unknown" if row.age_days is None else f"{row.age_days} d",
            ", ".join(row.marks),
        )
    yield table
    if total > len(rows):
        yield Text(f"{total - len(rows)} more; --limit shows them", style="dim")
    shown = {mark for row in rows for mark in row.marks}
    for mark, meaning in MARKS.items():
        if mark in shown:
            yield Text(f"{mark}: {meaning}")
    sources = sorted({row.source for row in rows})
    yield Text(f"table of {snapshot}; sources: {', '.join(sources)}", style="dim")


def suspects_report(
    rows: Sequence[Suspect], counts: dict[str, int], checked: int, snapshot: str
) -> Iterator[Table | Text]:
    summary = plain_table("PRICES", "MARK", "WHAT IT SAYS", right={0})
    for mark, number in counts.items():
        summary.add_row(str(number), mark, MARKS[mark])
    yield Text(f"{checked} prices of the table of {snapshot}")
    yield summary
    if not rows:
        return
    table = plain_table("INFRA", "INSTANCE", "GPUS", "SPOT", "$/hr", "MARK", "WHY", right={4})
    for row in rows:
        offer = row.offer
        # Most are undated too, which is no news beside a graver mark.
        reasons = [pair for pair in row.reasons if pair[0] != "undated"] or row.reasons
        table.add_row(
            infra(offer.cloud, offer.region, offer.zone),
            offer.instance_type,
            f"{offer.gpu}:{offer.gpu_count}",
            "spot" if offer.spot else "",
            usd_per_hour(offer.price_per_hour),
            "\n".join(mark for mark, _ in reasons),
            "\n".join(why for _, why in reasons),
        )
    yield table


def history_report(rows: Sequence[HistoryRow], total: int) -> Iterator[Table | Text]:
    table = plain_table("DAY", "CLOUD", "GPU", "SPOT", "$/GPU", "TABLE", right={4})
    for row in rows:
        table.add_row(
            row.day.isoformat(),
            row.cloud,
            row.gpu,
            "spot" if row.spot else "",
            usd_per_hour(row.price_per_gpu_hour),
            row.snapshot,
        )
    yield table
    if total > len(rows):
        yield Text(f"{total - len(rows)} older; --limit shows them", style="dim")
