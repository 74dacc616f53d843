"""`llmbudget scale`."""

import click

from skyserve_llm.cli import options, output, services


@click.command("scale")
@click.argument("service")
@click.option("--replicas", type=options.POSITIVE, required=True, help="How many there shall be.")
def command(service: str, replicas: int) -> None:
    """Change the number of replicas of SERVICE."""
    backend = services.backend_of(service)
    status = backend.scale(service, replicas, progress=output.progress)
    services.record(status)
    output.progress(
        f"{service} goes to {replicas} replica{'s' if replicas > 1 else ''}; "
        f"`llmbudget status {service}` shows them"
    )
