"""`llmbudget prices show`."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from skyserve_llm.cli import options, output
from skyserve_llm.cli.prices.table import offers_of
from skyserve_llm.errors import NoFeasiblePlanError
from skyserve_llm.sources.market import MarketRow, market_rows

TABLE_LIMIT = 30

SORTS: dict[str, Callable[[MarketRow], tuple[Any, ...]]] = {
    "price": lambda row: (row.price_per_hour,),
    "gpu-price": lambda row: (row.price_per_gpu_hour,),
    "discount": lambda row: (row.discount is None, -(row.discount or 0)),
    "age": lambda row: (row.age_days is None, row.age_days or 0),
    "cloud": lambda row: (row.cloud,),
}
"""What ``--sort`` may be; equal rows stay in the order of their price."""


@click.command("show")
@options.market_options
@click.option("--sort", type=click.Choice(list(SORTS)), default="price", show_default=True)
@click.option("--limit", type=options.POSITIVE, help=f"Show so many [{TABLE_LIMIT} in a table].")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.png",
    help="Draw the market, and what refreshes found cheapest before.",
)
@options.rows_output_option
def command(
    sort: str, limit: int | None, plot: Path | None, output_format: str, **values: Any
) -> None:
    """The market for a GPU: each cloud's cheapest, the spread over zones, what spot saves.

    Suspect prices are shown with their mark, and the cheapest one to trust beside them. A spot
    price is the lowest of all machines with the GPU, which may be lower than that of `sky gpus
    list`: SkyPilot gives the spot price of the machine with the lowest on-demand price.
    """
    # What spot saves is told by the on-demand prices, whichever of the two are asked for.
    offers, snapshot = offers_of({**values, "purchase": "any"})
    spot = options.market(values).spot
    rows = [
        row
        for row in market_rows(offers, datetime.now(UTC).date())
        if spot is None or row.spot is spot
    ]
    if not rows:
        raise NoFeasiblePlanError(
            "no price in the table matches",
            hint="allow more clouds, regions or GPUs, spot as well as on-demand",
        )
    rows.sort(key=SORTS[sort])
    if plot is not None:
        _plot(plot, rows)
    if output_format == "json":
        output.json_document({"snapshot": snapshot.snapshot, "rows": rows[:limit]})
    elif output_format == "csv":
        columns = MarketRow.__slots__
        output.csv_rows(columns, ([getattr(row, name) for name in columns] for row in rows[:limit]))
    else:
        from skyserve_llm.cli.prices.market_tables import market_report

        output.tables(*market_report(rows[: limit or TABLE_LIMIT], len(rows), snapshot.snapshot))


def _plot(file: Path, rows: list[MarketRow]) -> None:
    from skyserve_llm.cli.prices.plot import save
    from skyserve_llm.sources.history import read_history

    kinds = {(row.cloud, row.gpu, row.spot) for row in rows}
    past = [one for one in read_history() if (one.cloud, one.gpu, one.spot) in kinds]
    save(file, rows, past)
    output.progress(f"drew {file}")
