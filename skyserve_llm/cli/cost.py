"""`llmbudget cost`."""

from datetime import UTC, datetime

import click

from skyserve_llm.cli import options, output, services
from skyserve_llm.errors import ServiceNotFoundError
from skyserve_llm.home import ledger_path
from skyserve_llm.service.ledger import Ledger
from skyserve_llm.service.report import cost_report


@click.command("cost")
@click.argument("service", required=False)
@options.output_option
def command(service: str | None, output_format: str) -> None:
    """What services cost: an hour, so far, a month."""
    services.record(*services.every_status(service))
    with Ledger(ledger_path()) as ledger:
        intervals = ledger.intervals(service)
    if service and not intervals:
        raise ServiceNotFoundError(
            f"nothing is known of a service '{service}'", hint="`llmbudget cost` lists them all"
        )
    report = cost_report(intervals, datetime.now(UTC))
    if output_format == "json":
        output.json_document(report)
        return
    if not report.lines:
        output.progress("nothing has run yet; `llmbudget deploy` starts something to pay for")
        return
    from skyserve_llm.cli.service_tables import cost_tables

    output.tables(*cost_tables(report))
