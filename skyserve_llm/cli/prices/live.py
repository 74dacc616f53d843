"""`llmbudget prices live`."""

from datetime import UTC, date, datetime

import click

from skyserve_llm.cli import options, output
from skyserve_llm.errors import RefreshError
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.live.machines import Answer, Cloud, known_cloud
from skyserve_llm.sources.offers import table_in_use
from skyserve_llm.sources.settings import load_settings


@click.command("live")
@click.argument("clouds", nargs=-1, required=True, type=click.Choice(["aws", "azure"]))
@click.option("--region", "regions", multiple=True, help="Only this region (repeatable).")
@options.output_option
def command(clouds: tuple[str, ...], regions: tuple[str, ...], output_format: str) -> None:
    """Ask clouds for their prices of this moment and lay them over the price table.

    aws: spot, with the credentials that the aws CLI uses. azure: on-demand and spot, no
    credentials. Both for the machines that the table knows; whatever fails, the prices there were
    stay in use.
    """
    from skyserve_llm.sources.refresh.job import refresh_rows

    today = datetime.now(UTC).date()
    table, _ = table_in_use(load_gpus(), load_clouds())
    rows = table.everything()
    # Each cloud is asked before any price is laid down: all of them or none.
    answers = {
        cloud: _ask(known_cloud(cloud, rows), regions, today) for cloud in dict.fromkeys(clouds)
    }
    total = refresh_rows(
        [row for answer in answers.values() for row in answer.rows],
        today,
        lambda row: any(answer.covers(row) for answer in answers.values()),
    )
    counts = {cloud: len(answer.rows) for cloud, answer in answers.items()}
    if output_format == "json":
        output.json_document({"as_of": today, "live": counts, "prices": total})
        return
    told = ", ".join(f"{number} of {cloud}" for cloud, number in counts.items())
    output.text(f"{told} are of today ({today}); the table has {total} prices")


def _ask(known: Cloud, regions: tuple[str, ...], today: date) -> Answer:
    try:
        answer = _answer(known, regions, today)
    except RefreshError as error:
        raise RefreshError(
            f"{known.id} did not tell its prices: {error.message}; those there were stay in use",
            hint=error.hint,
        ) from error
    if not answer.rows:
        raise RefreshError(
            f"{known.id} has no price for any machine of the table; those there were stay in use",
            hint="is the --region spelled as the cloud does?" if regions else None,
        )
    return answer


def _answer(known: Cloud, regions: tuple[str, ...], today: date) -> Answer:
    if known.id == "aws":
        from skyserve_llm.sources.live import aws

        return aws.fetch(known, today, output.progress, regions=regions)
    from skyserve_llm.sources.live import azure

    url = load_settings().azure_prices_url or azure.URL
    return azure.fetch(known, today, output.progress, regions=regions, url=url)
