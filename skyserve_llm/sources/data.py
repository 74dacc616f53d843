"""Finds and reads the shipped data folders, in a checkout and in an installed wheel.

In a wheel they lie inside the package (``_data/``, put there by the build), in a checkout beside
it. Knows where a table is and how a CSV is read; nothing of what any column means.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from skyserve_llm.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE = Path(__file__).resolve().parent.parent


def pricing_dir(package: Path = _PACKAGE) -> Path:
    """The folder of price tables and GPU facts."""
    return _data_dir("pricing", package)


def templates_dir(package: Path = _PACKAGE) -> Path:
    """The folder of service and report templates."""
    return _data_dir("templates", package)


def _data_dir(name: str, package: Path) -> Path:
    # The wheel's folder first: beside an installed package, `pricing` may be anybody's.
    for folder in (package / "_data" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise DataError(
        f"the {name} folder is missing: neither {package.name}/_data/{name} nor {name} beside "
        f"the {package.name} package in {package.parent}",
        hint="reinstall llmbudget: pip install --force-reinstall llmbudget",
    )


def read_table(path: Path, columns: Sequence[str], optional: int = 0) -> list[list[str]]:
    """The rows of a CSV whose header is exactly ``columns``; blank lines are left out.

    The last ``optional`` columns may be missing, all of them at once.

    Raises DataError for a file that is missing, is not UTF-8 text, or has another header or a row
    of another length.
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            reader = csv.reader(lines, strict=True)
            header = next(reader, []) or [""]
            rows = [row for row in reader if row]
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}", hint="check the path and its permissions"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} is not a CSV table in UTF-8: {error}", hint="save it as CSV in UTF-8"
        ) from error
    # A spreadsheet's "CSV UTF-8" starts with a byte order mark.
    header[0] = header[0].removeprefix("\ufeff")
    if header not in (list(columns), list(columns[: len(columns) - optional])):
        raise DataError(
            f"{path}, line 1: the header is {','.join(header)!r}",
            hint=f"the header must be {','.join(columns)}",
        )
    width = len(header)
    if set(map(len, rows)) - {width}:
        row = next(row for row in rows if len(row) != width)
        raise DataError(
            f"{path}, line {line_of(path, row)}: {len(row)} columns, expected {width}",
            hint=f"every row must have: {','.join(header)}",
        )
    return rows


def line_of(path: Path, row: list[str]) -> int:
    """The line a row stands on. Only looked for when there is an error to tell."""
    with path.open(newline="", encoding="utf-8") as lines:
        reader = csv.reader(lines)
        return next((reader.line_num for candidate in reader if candidate == row), 0)


def reject(path: Path, row: list[str], column: str, value: str, why: str) -> NoReturn:
    """Raises the DataError for one bad cell: file, line, column, value, and what was expected."""
    raise DataError(f"{path}, line {line_of(path, row)}, column {column}: {value!r} {why}")
