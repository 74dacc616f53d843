"""Whether this replica may be sent requests: the state behind ``GET /v1/health``.

Ready means that the engine has really made a token, and lately. Whenever none has come for a
while, with requests running or without, the engine is asked for one; and so it is after an
answer of 500. An engine that is frozen answers nothing and raises nothing: only this finds it.
Knows neither ASGI nor engines.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from skyserve_llm.replica.logs import LogEvent
from skyserve_llm.replica.probe import ProbeError

Probe = Callable[[], Awaitable[None]]
"""Returns once the engine has made a token; raises when it cannot."""

_RETRY_S = 1.0
# A first token may wait for a compile; an engine that needs longer than this is stuck.
_FIRST_TOKEN_TIMEOUT_S = 120.0


class Health(StrEnum):
    """What ``/v1/health`` says; 200 for OK alone."""

    STARTING = "starting"
    OK = "ok"
    BROKEN = "broken"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The state, and why it is not ``ok``."""

    health: Health
    reason: str | None = None


class Readiness:
    """Asks the engine for a token until it gives one, and again whenever it is in doubt.

    ``proof_interval_s``: a token that is older proves nothing any more.
    ``token_timeout_s``: how long an engine that is asked then may stay without any token.
    """

    def __init__(
        self, probe: Probe, log: LogEvent, *, proof_interval_s: float, token_timeout_s: float
    ) -> None:
        self._probe = probe
        self._log = log
        self._proof_interval_s = proof_interval_s
        self._token_timeout_s = token_timeout_s
        self._doubt = asyncio.Event()
        self._born = self._last_token = time.monotonic()
        self.report = HealthReport(Health.STARTING, "the engine has made no token yet")

    def doubt(self) -> None:
        """A request failed in the engine: ask it for a token again."""
        self._doubt.set()

    def saw_token(self) -> None:
        """The engine made a token for somebody. Cheap: called for each one."""
        self._last_token = time.monotonic()

    async def watch(self) -> None:
        """Keep `report` true, until cancelled."""
        while True:
            while not await self._has_token():
                await asyncio.sleep(_RETRY_S)
            await self._until_in_doubt()

    async def _until_in_doubt(self) -> None:
        while not self._doubt.is_set():
            left_s = self._last_token + self._proof_interval_s - time.monotonic()
            if left_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._doubt.wait(), left_s)
        self._doubt.clear()

    async def _has_token(self) -> bool:
        try:
            await self._within_patience(self._probe())
        except TimeoutError:
            self._note_failure(f"the engine made no token for {self._patience_s:.0f} s")
        except ProbeError as error:
            self._note_failure(str(error))
        except Exception as error:  # noqa: BLE001 - whatever breaks an engine must show in health
            self._note_failure(f"asking for a token raised {type(error).__name__}")
        else:
            self.saw_token()
            self._note(HealthReport(Health.OK))
            return True
        return False

    @property
    def _patience_s(self) -> float:
        is_first = self.report.health is Health.STARTING
        return max(self._token_timeout_s, _FIRST_TOKEN_TIMEOUT_S if is_first else 0.0)

    async def _within_patience(self, probe: Awaitable[None]) -> None:
        """Wait for the probe for as long as tokens come, for it or for others before it."""
        task, asked = asyncio.ensure_future(probe), time.monotonic()
        try:
            while not task.done():
                left_s = max(asked, self._last_token) + self._patience_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError
                await asyncio.wait((task,), timeout=left_s)
            await task
        finally:
            task.cancel()

    def _note_failure(self, reason: str) -> None:
        was_ready = self.report.health in (Health.OK, Health.BROKEN)
        self._note(HealthReport(Health.BROKEN if was_ready else Health.STARTING, reason))

    def _note(self, report: HealthReport) -> None:
        if report == self.report:
            return
        self.report = report
        after_s = round(time.monotonic() - self._born, 3)
        self._log("health", health=report.health, reason=report.reason, after_s=after_s)
