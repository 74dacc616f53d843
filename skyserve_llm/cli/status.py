"""`llmbudget status`."""

import click

from skyserve_llm.cli import options, output, services
from skyserve_llm.errors import ServiceNotFoundError


@click.command("status")
@click.argument("service", required=False)
@click.option("-a", "--all", "ended", is_flag=True, help="Replicas that have ended, too.")
@options.output_option
def command(service: str | None, ended: bool, output_format: str) -> None:
    """What runs, where, and how it is."""
    found = services.every_status(service)
    if service and not found:
        raise ServiceNotFoundError(f"no service '{service}'", hint="`llmbudget status` lists them")
    services.record(*found)
    if output_format == "json":
        output.json_document({"services": found})
        return
    if not found:
        output.progress("no service is running; `llmbudget deploy --local` starts one here")
        return
    from skyserve_llm.cli.service_tables import status_report

    output.tables(*status_report(found, ended=ended))
