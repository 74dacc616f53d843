"""Engines that block a thread: their pieces on the event loop, and their place in line.

Knows threads and asyncio, and nothing of what makes the pieces.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from skyserve_llm.replica.engines.base import Piece

Result = TypeVar("Result")

Emit = Callable[[Piece], bool]
"""Hands a piece on; False once nobody wants another."""


class Workers:
    """Up to ``count`` answers at a time; who comes later waits in line, first come first served."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="engine")
        self._running: set[threading.Event] = set()

    async def stream(self, produce: Callable[[Emit], None]) -> AsyncGenerator[Piece, None]:
        """What ``produce`` emits in a thread of its own, until it returns.

        Closing the generator takes a waiting answer out of the line, and tells a running one to
        stop: the next ``emit`` returns False. Its place is free when ``produce`` has returned.
        """
        loop = asyncio.get_running_loop()
        made: asyncio.Queue[Piece | None] = asyncio.Queue()
        stopped = threading.Event()

        def hand_on(piece: Piece | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                loop.call_soon_threadsafe(made.put_nowait, piece)

        def emit(piece: Piece) -> bool:
            if not stopped.is_set():
                hand_on(piece)
            return not stopped.is_set()

        self._running.add(stopped)
        future = self._pool.submit(produce, emit)
        future.add_done_callback(lambda _: hand_on(None))
        try:
            while (piece := await made.get()) is not None:
                yield piece
            if not future.cancelled():
                future.result()  # done: it only raises what produce raised
        finally:
            stopped.set()
            future.cancel()
            self._running.discard(stopped)

    def close(self) -> None:
        """Tell every answer to stop, and take no more."""
        for stopped in tuple(self._running):
            stopped.set()
        self._pool.shutdown(wait=False, cancel_futures=True)


async def in_background(function: Callable[[], Result]) -> Result:
    """The result of a call that takes minutes and cannot be interrupted.

    In a daemon thread: asyncio's own threads are waited for when the process ends, and a replica
    that is told to end must not first finish loading its weights.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="loading").start()
    return await asyncio.wrap_future(future)
