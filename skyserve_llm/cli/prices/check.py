"""`llmbudget prices check`."""

from typing import Any

import click

from skyserve_llm.cli import options, output
from skyserve_llm.cli.prices.suspects import Suspect, counted, suspects
from skyserve_llm.cli.prices.table import all_offers, offers_of
from skyserve_llm.types import MARKS, Offer

_PRICE = (
    "cloud", "region", "zone", "instance_type", "gpu", "gpu_count", "spot", "price_per_hour",
    "as_of", "source",
)  # fmt: skip


@click.command("check")
@options.market_options
@click.option(
    "--mark",
    "marks",
    multiple=True,
    type=click.Choice(list(MARKS)),
    help="Only prices with this mark (repeatable).",
)
@options.rows_output_option
def command(marks: tuple[str, ...], output_format: str, **values: Any) -> None:
    """Every suspect price, and why it is.

    A table counts undated prices and lists the others; `--mark undated` lists those too. JSON and
    CSV have all.
    """
    # The rules look at the whole table, whatever part of it is asked for.
    everything, snapshot = all_offers(values["prices"])
    asked = {_key(offer) for offer in offers_of(values)[0]}
    rows = [row for row in suspects(everything) if _key(row.offer) in asked]
    if marks:
        rows = [row for row in rows if set(marks) & set(row.offer.marks)]
    if output_format == "json":
        output.json_document(
            {
                "snapshot": snapshot.snapshot,
                "checked": len(asked),
                "counts": counted(rows),
                "rows": [_document(row) for row in rows],
            }
        )
    elif output_format == "csv":
        output.csv_rows(
            (*_PRICE, "mark", "why"),
            ((*_cells(row.offer), *reason) for row in rows for reason in row.reasons),
        )
    else:
        from skyserve_llm.cli.prices.market_tables import suspects_report

        listed = rows if marks else [row for row in rows if row.offer.marks != ("undated",)]
        output.tables(*suspects_report(listed, counted(rows), len(asked), snapshot.snapshot))


def _key(offer: Offer) -> tuple[object, ...]:
    """What stands in a table once."""
    return (
        offer.cloud, offer.region, offer.zone, offer.instance_type, offer.gpu_count, offer.spot,
    )  # fmt: skip


def _cells(offer: Offer) -> list[object]:
    return [getattr(offer, name) for name in _PRICE]


def _document(row: Suspect) -> dict[str, object]:
    price: dict[str, object] = dict(zip(_PRICE, _cells(row.offer), strict=True))
    return price | {"marks": [{"mark": mark, "why": why} for mark, why in row.reasons]}
