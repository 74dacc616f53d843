"""`llmbudget prices`: the market itself. One file a subcommand, imported when it runs."""

import click

from skyserve_llm.cli import LazyGroup

_COMMANDS = {
    "refresh": "Bring the price table up to date.",
    "live": "Ask AWS or Azure for the prices of this moment.",
    "show": "The market for a GPU: each cloud's cheapest, the spread over zones, what spot saves.",
    "check": "Every suspect price, and why it is.",
    "history": "What each refresh found cheapest.",
}


@click.group("prices", cls=LazyGroup, package=__name__, lazy=_COMMANDS)
def command() -> None:
    """The market: refresh the price table, show it, check it."""
