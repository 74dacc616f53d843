"""The one door for output: results to stdout, progress to stderr.

JSON never imports rich; a table is built in ``tables`` and printed here.
"""

import sys
from collections.abc import Iterable, Sequence
from decimal import Decimal
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


def csv_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV on stdout: nothing for None, decimals in full, lists with spaces between."""
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    click.echo(text.getvalue(), nl=False)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return str(int(value)) if isinstance(value, bool) else str(value)


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
