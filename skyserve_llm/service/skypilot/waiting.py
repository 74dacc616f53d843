"""Waiting for SkyServe: until a service answers, or until nothing of it is left.

SkyServe's own words are not enough. READY reaches its load balancer up to 20 s later, a FAILED
row of an old replica is not a live failure, and ``down`` only schedules the end. Knows no
SkyPilot call: it is handed functions that look.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import httpx

from skyserve_llm.errors import BackendError, NotReadyError
from skyserve_llm.service.backend import Progress
from skyserve_llm.service.types import ReplicaState, ServiceState, ServiceStatus

POLL_SECONDS = 8.0
"""One look takes SkyServe 3 to 15 s of work."""

_PROBE_SECONDS = 2.0
_PROBE_TIMEOUT_SECONDS = 5.0
# The load balancer learns of a ready replica within 20 s. Then look again: it may be gone.
_PROBES_A_LOOK = 10

_BROKEN = {ServiceState.CONTROLLER_FAILED, ServiceState.FAILED_CLEANUP}
# A failed replica and its replacement may be apart by one look.
_LOOKS_BEFORE_FAILED = 2
# FAILED_CLEANUP may show for seconds while SkyServe tries again.
_CLEANUP_SECONDS = 60.0

Look = Callable[[], ServiceStatus | None]
"""What the service looks like now; None if there is none. BackendError if nobody knows."""

Answers = Callable[[str], bool]
"""Whether a request through this endpoint is answered."""


class Clock(Protocol):
    """Time, handed in so that tests need not wait."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """This machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def answers(url: str) -> bool:
    """Whether ``GET url`` is answered 200 soon.

    With a short timeout: a request that arrives while no replica is ready may hang for ever.
    """
    try:
        return httpx.get(url, timeout=_PROBE_TIMEOUT_SECONDS).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def until_answering(
    look: Look,
    is_answering: Answers,
    *,
    name: str,
    path: str,
    clock: Clock,
    progress: Progress,
    deadline: float,
) -> ServiceStatus:
    """Look until a request to ``path`` comes back through the endpoint.

    Raises:
        BackendError: every replica failed, or the controller did.
        NotReadyError: not before ``deadline`` (of ``clock.monotonic``).
    """
    watch, failures = _Watch(look, progress), 0
    while True:
        known, status = watch.look()
        if known and status is None and watch.last is not None:
            raise BackendError(f"service {name} is gone", hint="somebody else ended it")
        if status is not None:
            failures = failures + 1 if _has_failed(status) else 0
            if failures >= _LOOKS_BEFORE_FAILED or status.state in _BROKEN:
                raise _failed(status)
            if status.ready_replicas and status.endpoint is not None:
                url = status.endpoint.rstrip("/") + path
                if _comes_back(url, is_answering, clock, deadline):
                    progress(f"{status.endpoint} answers")
                    return status
        if clock.monotonic() >= deadline:
            raise NotReadyError(
                f"service {name} did not answer in time; it was left running, and costs",
                hint=f"`llmbudget status {name}` looks again, `llmbudget down {name}` ends it",
            )
        clock.sleep(POLL_SECONDS)


def until_gone(
    look: Look, last: ServiceStatus, *, clock: Clock, progress: Progress, deadline: float
) -> ServiceStatus:
    """Look until SkyServe knows the service no more. Returns the last status seen.

    Raises:
        BackendError: the clean-up failed, or it is still there at ``deadline``.
    """
    watch, failing_since = _Watch(look, progress, last), None
    while True:
        known, status = watch.look()
        if known and status is None:
            return watch.last or last
        if status is not None and status.state in _BROKEN:
            if failing_since is None:
                failing_since = clock.monotonic()
            if clock.monotonic() - failing_since >= _CLEANUP_SECONDS:
                raise cleanup_failed(status)
        elif known:
            failing_since = None
        if clock.monotonic() >= deadline:
            raise BackendError(
                f"service {last.name} is still there: {summary(watch.last or last)}",
                hint=f"`llmbudget status {last.name}` looks again",
            )
        clock.sleep(POLL_SECONDS)


def summary(status: ServiceStatus) -> str:
    """``REPLICA_INIT: replica 1 STARTING, replica 2 READY``"""
    replicas = ", ".join(
        f"replica {replica.replica_id} {replica.state.value}"
        + (f" ({replica.reason})" if replica.reason else "")
        for replica in status.replicas
    )
    return f"{status.state.value}: {replicas}" if replicas else status.state.value


def cleanup_failed(status: ServiceStatus) -> BackendError:
    return BackendError(
        f"SkyServe could not end {status.name} ({summary(status)}); machines may still run",
        hint=f"`sky status` lists them, `sky down {status.name}-<replica>` ends one, and then "
        f"`sky serve down --purge {status.name}` forgets the service",
    )


class _Watch:
    """Looks, and reports what changed. ``last`` is the last status that was seen."""

    def __init__(self, look: Look, progress: Progress, last: ServiceStatus | None = None) -> None:
        self._look, self._progress, self._told = look, progress, ""
        self.last = last

    def look(self) -> tuple[bool, ServiceStatus | None]:
        """Whether it is known, and the status; no status that is known is a service gone."""
        try:
            status = self._look()
        except BackendError as error:
            self._tell(f"cannot tell: {error.message}")
            return False, None
        if status is not None:
            self.last = status
            self._tell(summary(status))
        return True, status

    def _tell(self, line: str) -> None:
        if line != self._told:
            self._progress(line)
            self._told = line


def _comes_back(url: str, is_answering: Answers, clock: Clock, deadline: float) -> bool:
    for _ in range(_PROBES_A_LOOK):
        if is_answering(url):
            return True
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(_PROBE_SECONDS)
    return False


def _has_failed(status: ServiceStatus) -> bool:
    """Replicas there are, none of them runs or waits, and one at least failed."""
    hopeful = [
        replica
        for replica in status.replicas
        if replica.state.alive or replica.state in (ReplicaState.PENDING, ReplicaState.PREEMPTED)
    ]
    return bool(status.replicas) and not hopeful


def _failed(status: ServiceStatus) -> BackendError:
    failed = [replica for replica in status.replicas if replica.state.value.startswith("FAILED")]
    where = f" --replica {failed[-1].replica_id}" if failed else ""
    return BackendError(
        f"service {status.name} failed: {summary(status)}",
        hint=f"`llmbudget logs {status.name}{where}` shows why; it was left as it is: "
        f"`llmbudget down {status.name}` ends it",
    )
