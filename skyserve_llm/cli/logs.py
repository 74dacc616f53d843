"""`llmbudget logs`."""

import click

from skyserve_llm.cli import output, services
from skyserve_llm.errors import InputError


@click.command("logs")
@click.argument("service", required=False)
@click.option("--replica", "replica_id", type=click.IntRange(min=1), help="One replica's log.")
@click.option("--load-balancer", is_flag=True, help="The load balancer's log.")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come.")
def command(service: str | None, replica_id: int | None, load_balancer: bool, follow: bool) -> None:
    """Show a service's log: the controller's, unless told otherwise."""
    if replica_id is not None and load_balancer:
        raise InputError("--replica and --load-balancer exclude each other")
    status = services.the_service(service)
    backend = services.backend_of(status.name)
    for line in backend.logs(
        status.name, replica_id=replica_id, load_balancer=load_balancer, follow=follow
    ):
        output.text(line)
