"""`llmbudget prices refresh`."""

import click


@click.command("refresh")
def command() -> None:
    """Bring the price table up to date: download SkyPilot's catalogs and normalize them."""
