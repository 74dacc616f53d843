"""`llmbudget prices history`."""

import click

from skyserve_llm.cli import options, output
from skyserve_llm.sources.clouds import cloud_id, load_clouds
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.history import HistoryRow, read_history
from skyserve_llm.sources.names import known_name

TABLE_LIMIT = 60


@click.command("history")
@click.option("--spot", "purchase", flag_value="spot", help="Spot prices only.")
@click.option("--on-demand", "purchase", flag_value="on-demand", help="On-demand only.")
@click.option("--cloud", "clouds", multiple=True, help="Only this cloud (repeatable).")
@click.option("--gpu", "gpus", multiple=True, help="Only this GPU (repeatable).")
@click.option(
    "--limit", type=options.POSITIVE, help=f"The last so many [{TABLE_LIMIT} in a table]."
)
@options.rows_output_option
def command(
    purchase: str | None,
    clouds: tuple[str, ...],
    gpus: tuple[str, ...],
    limit: int | None,
    output_format: str,
) -> None:
    """What each refresh found cheapest: a GPU's price on each cloud, spot and on-demand.

    `llmbudget prices show --plot FILE.png` draws it.
    """
    rows = read_history(
        clouds=[known_name("cloud", cloud_id(name), load_clouds()) for name in clouds],
        gpus=[known_name("GPU", name, load_gpus()) for name in gpus],
        spot=None if purchase is None else purchase == "spot",
    )
    if output_format == "json":
        output.json_document([row._asdict() for row in rows[-(limit or 0) :]])
    elif output_format == "csv":
        output.csv_rows(HistoryRow._fields, rows[-(limit or 0) :])
    elif not rows:
        output.progress("no history yet; `llmbudget prices refresh` adds to it each time")
    else:
        from skyserve_llm.cli.prices.market_tables import history_report

        shown = rows[-(limit or TABLE_LIMIT) :]
        output.tables(*history_report(shown, len(rows)))
