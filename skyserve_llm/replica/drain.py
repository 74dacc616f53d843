"""The end of a replica, in order, so that no request is lost on the way. Knows no server.

    serving → lame duck → finishing → cutting → over

A *lame duck* says 503 to health checks and serves every request as before, because a load
balancer goes on sending until it has probed and synchronised; a 503 to a request would be
passed on to its client. Then the listener closes, running requests finish, and what has not
finished by the deadline is ended with an explicit event. Last, the host ends the process.

Began from a signal, or from a notice that the machine will be taken away; whoever begins it
again can only bring the end nearer.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from skyserve_llm.replica.logs import LogEvent

# Left of a notice for the last words of the streams and for the process itself.
_NOTICE_MARGIN_S = 3.0
# What requests that were cut may take to say so. Their engine frees its slots meanwhile.
_LAST_WORDS_S = 2.0
_POLL_S = 0.05


class Phase(StrEnum):
    """Where a drain has come to."""

    SERVING = "serving"
    LAME_DUCK = "lame duck"
    FINISHING = "finishing"
    CUTTING = "cutting"
    OVER = "over"


class Host(Protocol):
    """Who holds the port and the process: our own server, or the one around the gate."""

    def close_listener(self) -> None:
        """Take no new connections; those that are open stay."""

    def end(self) -> None:
        """Begin to end the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainTimes:
    """Both are counted in seconds from the first moment of a drain.

    ``lame_duck_s``: keep the listener open for so long. ``drain_timeout_s``: let running
    requests finish until then, unless a notice says when the machine goes.
    """

    lame_duck_s: float
    drain_timeout_s: float


class Drain:
    """The one drain of a replica. ``in_flight`` counts requests, ``cut`` ends them all."""

    def __init__(
        self,
        times: DrainTimes,
        *,
        in_flight: Callable[[], int],
        cut: Callable[[str], None],
        log: LogEvent,
    ) -> None:
        self._times = times
        self._in_flight = in_flight
        self._cut = cut
        self._log = log
        self._changed = asyncio.Event()
        self._signalled = False
        self._listen_until = self._deadline = float("inf")
        self.phase = Phase.SERVING
        self.reason: str | None = None

    @property
    def is_draining(self) -> bool:
        return self.phase is not Phase.SERVING

    def begin(self, reason: str, *, notice_s: float | None = None) -> None:
        """Become a lame duck now.

        ``notice_s`` is how long the machine still has, where somebody said so: it takes the
        place of ``drain_timeout_s``, and the lame duck gets half of it at most, so that what
        came last has time to finish.
        """
        now = time.monotonic()
        left_s = self._times.drain_timeout_s
        lame_duck_s = min(self._times.lame_duck_s, left_s)
        if notice_s is not None:
            left_s = max(0.0, notice_s - _NOTICE_MARGIN_S)
            lame_duck_s = min(self._times.lame_duck_s, left_s / 2)
        self._listen_until = min(self._listen_until, now + lame_duck_s)
        self._deadline = min(self._deadline, now + left_s)
        if not self.is_draining:
            self.reason = reason
            self._enter(Phase.LAME_DUCK, reason=reason, lame_duck_s=lame_duck_s, within_s=left_s)
        self._changed.set()

    def on_signal(self, name: str) -> None:
        """The first signal begins the drain, another one ends it at once."""
        if self._signalled:
            self.hasten()
        else:
            self._signalled = True
            self.begin(name)

    def hasten(self) -> None:
        """End at once: what still runs is cut."""
        self._listen_until = self._deadline = time.monotonic()
        self._changed.set()

    async def run(self, host: Host) -> None:
        """Wait for the beginning, then go through to the end."""
        while not self.is_draining or time.monotonic() < self._listen_until:
            await self._until(self._listen_until)
        self._enter(Phase.FINISHING)
        host.close_listener()
        await self._until_idle(lambda: self._deadline)
        if self._in_flight():
            self._enter(Phase.CUTTING)
            self._cut(self.reason or "")
            last_words = time.monotonic() + _LAST_WORDS_S
            await self._until_idle(lambda: last_words)
        self._enter(Phase.OVER)
        host.end()

    async def _until(self, moment: float) -> None:
        """Until then, or until somebody changed his mind about when."""
        self._changed.clear()
        timeout = None if moment == float("inf") else max(0.0, moment - time.monotonic())
        try:
            await asyncio.wait_for(self._changed.wait(), timeout)
        except TimeoutError:
            return

    async def _until_idle(self, deadline: Callable[[], float]) -> None:
        while self._in_flight() and time.monotonic() < deadline():
            await asyncio.sleep(_POLL_S)

    def _enter(self, phase: Phase, **facts: object) -> None:
        self.phase = phase
        self._log("drain", phase=phase, in_flight=self._in_flight(), **facts)
