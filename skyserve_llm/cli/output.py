"""The one door for output: results to stdout, progress to stderr.

JSON never imports rich; a table is built in ``tables`` and printed here.
"""

import sys
from typing import TYPE_CHECKING

import click

from skyserve_llm.cli.planning import to_json

if TYPE_CHECKING:
    from rich.console import RenderableType

PIPE_WIDTH = 180
"""Columns where stdout is no terminal: a table in a file should not be folded to 80."""


def json_document(value: object) -> None:
    """One JSON document on stdout; text is taken to be one already."""
    click.echo(value if isinstance(value, str) else to_json(value))


def text(value: str, *, newline: bool = True) -> None:
    """Plain text on stdout, flushed: a stream's tokens appear as they come."""
    click.echo(value, nl=newline)


def tables(*parts: "RenderableType") -> None:
    """Rich renderables on stdout, without colour where it is no terminal or NO_COLOR is set."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PIPE_WIDTH
    console = Console(width=width, highlight=False, soft_wrap=False)
    for part in parts:
        console.print(part)


def progress(line: str) -> None:
    """One line of progress on stderr."""
    click.echo(line, err=True)
