"""Whether this replica may be sent requests: the state behind ``GET /v1/health``.

Ready means that the engine has really made a token, found out by asking it for one. An
answer of 500 casts doubt, and then the engine is asked again. Knows ASGI, no engine.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from skyserve_llm.replica.asgi import ASGIApp, Scope, call
from skyserve_llm.replica.logs import LogEvent

Probe = Callable[[], Awaitable[None]]
"""Returns once the engine has made a token; raises when it cannot."""

_RETRY_S = 1.0
# A first token may wait for a compile; an engine that needs longer than this is stuck.
_ATTEMPT_TIMEOUT_S = 120.0


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


class ProbeError(Exception):
    """The engine gave no token. The text is shown to anyone, so it quotes no answer."""


class Readiness:
    """Asks the engine for a token until it gives one, and again whenever it is in doubt."""

    def __init__(self, probe: Probe, log: LogEvent) -> None:
        self._probe = probe
        self._log = log
        self._found = HealthReport(Health.STARTING, "the engine has made no token yet")
        self._draining = False
        self._doubt = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._born = time.monotonic()

    @property
    def report(self) -> HealthReport:
        if self._draining:
            return HealthReport(Health.DRAINING, "draining: finishing the running requests")
        return self._found

    def start(self) -> None:
        """Begin to ask; a second call changes nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="readiness")

    async def stop(self) -> None:
        """Ask no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def doubt(self) -> None:
        """A request failed in the engine: ask it for a token again."""
        self._doubt.set()

    def drain(self) -> None:
        """Not ready from now on, whatever the engine does."""
        self._draining = True

    async def _watch(self) -> None:
        while True:
            while not await self._has_token():
                await asyncio.sleep(_RETRY_S)
            await self._doubt.wait()
            self._doubt.clear()

    async def _has_token(self) -> bool:
        try:
            async with asyncio.timeout(_ATTEMPT_TIMEOUT_S):
                await self._probe()
        except TimeoutError:
            self._note_failure(f"no token within {_ATTEMPT_TIMEOUT_S:.0f} s")
        except ProbeError as error:
            self._note_failure(str(error))
        except Exception as error:  # noqa: BLE001 - whatever breaks an engine must show in health
            self._note_failure(f"asking for a token raised {type(error).__name__}")
        else:
            self._note(HealthReport(Health.OK))
            return True
        return False

    def _note_failure(self, reason: str) -> None:
        was_ready = self._found.health in (Health.OK, Health.BROKEN)
        self._note(HealthReport(Health.BROKEN if was_ready else Health.STARTING, reason))

    def _note(self, report: HealthReport) -> None:
        if report == self._found:
            return
        self._found = report
        after_s = round(time.monotonic() - self._born, 3)
        self._log("health", health=report.health, reason=report.reason, after_s=after_s)


async def ask_for_token(app: ASGIApp, base: Scope) -> None:
    """One tiny request through ``app``, which may be any OpenAI server.

    Raises:
        ProbeError: the server has no model, or its answer carries no token.
    """
    model = await _served_model(app, base)
    value = {"model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0}
    answer = await call(app, "POST", "/v1/completions", value=value, base=base)
    if answer.status != 200:
        raise ProbeError(f"asking for a token was answered {answer.status}")
    try:
        tokens = json.loads(answer.body)["usage"]["completion_tokens"]
    except (ValueError, KeyError, TypeError) as error:
        raise ProbeError("the answer to asking for a token cannot be read") from error
    if not tokens:
        raise ProbeError("the engine answered without a token")


async def _served_model(app: ASGIApp, base: Scope) -> str:
    answer = await call(app, "GET", "/v1/models", base=base)
    if answer.status != 200:
        raise ProbeError(f"asking for the model's name was answered {answer.status}")
    try:
        return str(json.loads(answer.body)["data"][0]["id"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ProbeError("the list of models cannot be read") from error
