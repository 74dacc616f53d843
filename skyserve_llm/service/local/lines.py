"""Reading log files that somebody else is writing and rotating.

Knows files and nothing of who writes them.
"""

import contextlib
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_POLL_SECONDS = 0.2
_TAIL_BYTES = 8192
_LONGEST = 300


def last_line(path: Path) -> str | None:
    """The last line of ``path`` that is not blank, cut to what fits an error message."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = [line for line in _text(file.read()).splitlines() if line.strip()]
        if lines:
            line = lines[-1].strip()
            return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
    return None


def read_lines(path: Path, *, follow: bool, ended: Callable[[], bool]) -> Iterator[str]:
    """Lines of ``path``, and of the part that was rotated away before it, oldest first.

    With ``follow`` waits for more until ``ended`` says that nobody writes any more.
    """
    with contextlib.suppress(OSError):
        yield from _text(path.with_name(path.name + ".1").read_bytes()).splitlines()
    file: io.BufferedReader | None = None
    rest = b""
    try:
        while True:
            last_round = not follow or ended()  # asked before reading: what came before is read
            if file is None:
                with contextlib.suppress(FileNotFoundError):
                    file = path.open("rb")
            if file is not None:
                *lines, rest = (rest + file.read()).split(b"\n")
                yield from map(_text, lines)
                if _rotated(path, file):
                    rest += file.read()  # what was written before the new file took its place
                    file.close()
                    file = None
                    continue
            if last_round:
                break
            time.sleep(_POLL_SECONDS)
        if rest:
            yield _text(rest)
    finally:
        if file is not None:
            file.close()


def _rotated(path: Path, file: io.BufferedReader) -> bool:
    try:
        return not os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False  # removed with its service, or about to be made anew


def _text(data: bytes) -> str:
    return data.decode(errors="replace").rstrip("\r")
