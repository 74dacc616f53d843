"""How many requests may be inside at once, and how many may wait. Knows no HTTP.

First come, first served. A place goes from the one who leaves to the one who has waited
longest, never back into a free-for-all.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skyserve_llm.replica.refusal import RefusedError, busy

# A client that is told to come back in an hour goes elsewhere for good.
_LONGEST_RETRY_S = 60
# How much the newest of the times between two departures counts.
_SMOOTHING = 0.2


class Admission:
    """``max_in_flight`` places, and a line of ``max_queued`` before them."""

    def __init__(self, *, max_in_flight: int, max_queued: int, queue_timeout_s: float) -> None:
        self._max_in_flight = max_in_flight
        self._max_queued = max_queued
        self._queue_timeout_s = queue_timeout_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._last_left: float | None = None
        self._between_departures_s = 1.0
        self.in_flight = 0

    @property
    def queued(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether the next one has to wait."""
        return self.in_flight >= self._max_in_flight

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place.

        Raises:
            RefusedError: 429, when the line is full or was too slow.
        """
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    async def _enter(self) -> None:
        if not self.is_full:
            self.in_flight += 1
            return
        if self.queued >= self._max_queued:
            raise self._too_busy("The replica has as many requests as it can take.")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._queue_timeout_s):
                await turn
        except (TimeoutError, asyncio.CancelledError) as error:
            self._step_out(turn)
            if isinstance(error, TimeoutError):
                raise self._too_busy("No place came free in time.") from None
            raise

    def _step_out(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self._give_place_on()  # called up in the same moment: the place is not lost
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def _leave(self) -> None:
        now = time.monotonic()
        if self._last_left is not None:
            newest = now - self._last_left
            self._between_departures_s += _SMOOTHING * (newest - self._between_departures_s)
        self._last_left = now
        self._give_place_on()

    def _give_place_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.in_flight -= 1

    def _too_busy(self, message: str) -> RefusedError:
        # The line moves at the pace at which others have left lately.
        wait_s = math.ceil(self._between_departures_s * (self.queued + 1))
        return busy(message, retry_after_s=min(max(1, wait_s), _LONGEST_RETRY_S))
