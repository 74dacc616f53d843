"""`llmbudget down`."""

import click

from skyserve_llm.cli import output, services
from skyserve_llm.errors import InputError


@click.command("down")
@click.argument("names", metavar="[SERVICE]...", nargs=-1)
@click.option("-a", "--all", "every", is_flag=True, help="Every service.")
def command(names: tuple[str, ...], every: bool) -> None:
    """Take services down and wait until nothing of them runs."""
    if every == bool(names):
        raise InputError("name the services to take down, or give --all")
    chosen = names or tuple(status.name for status in services.every_status())
    for name in chosen:
        backend = services.backend_of(name)
        services.record(backend.down(name, progress=output.progress))
        output.progress(f"{name} is down")
