"""A call that writes lines becomes an iterator that yields them as they come."""

import queue
import threading
from collections.abc import Callable, Iterator

Lines = Callable[[str], None]


def lines_of(call: Callable[[Lines], None]) -> Iterator[str]:
    """Run ``call`` beside the caller and yield what it writes; its error is raised at the end.

    The thread is a daemon: a log that is followed never ends by itself.
    """
    written: queue.SimpleQueue[str | BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            call(written.put)
        except BaseException as error:  # noqa: BLE001 - raised again where the lines are read
            written.put(error)
        else:
            written.put(None)

    threading.Thread(target=run, daemon=True, name="log").start()
    while (item := written.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item
