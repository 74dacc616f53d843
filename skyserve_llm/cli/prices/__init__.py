"""`llmbudget prices`: the market itself. One file a subcommand, imported when it runs."""

import click

from skyserve_llm.cli import LazyGroup

_COMMANDS = {
    "refresh": "Bring the price table up to date.",
}


@click.group("prices", cls=LazyGroup, package=__name__, lazy=_COMMANDS)
def command() -> None:
    """The market: refresh the price table, show it, check it."""
