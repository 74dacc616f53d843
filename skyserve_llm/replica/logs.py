"""Log lines: one JSON object a line on stderr. Knows nothing of requests.

Callers pass facts about a request, never its body, its headers or its query string.
"""

import contextlib
import json
import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

LogEvent = Callable[..., None]


def log_event(event: str, **fields: object) -> None:
    """Write one line. A reader of stderr that went away must not fail a request."""
    record = {"ts": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
    with contextlib.suppress(OSError):
        sys.stderr.write(json.dumps({**record, **fields}, default=str) + "\n")
        sys.stderr.flush()


def where(error: BaseException) -> list[str]:
    """The frames an error came through, without its message, which may quote a prompt."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]


def route_library_logs() -> None:
    """Warnings of uvicorn and asyncio leave as JSON lines too."""
    logging.basicConfig(level=logging.WARNING, handlers=[_EventHandler()], force=True)


class _EventHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        details = {"error": type(error).__name__, "where": where(error)} if error else {}
        log_event(
            "library",
            level=record.levelname.lower(),
            logger=record.name,
            message=record.getMessage(),
            **details,
        )
