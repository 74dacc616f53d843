"""One place for a replica: a port, and one process after another on it.

A slot starts a replica, probes it, and when it dies or fails its probes ends it and starts the
next. Knows one replica's life; how many there are is the supervisor's business.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx

from skyserve_llm.service.local.board import Board
from skyserve_llm.service.local.health import Health, Verdict, probe
from skyserve_llm.service.local.ports import LOOPBACK, keep_free_port
from skyserve_llm.service.local.process import GuardedProcess, how_it_ended
from skyserve_llm.service.types import ReadinessProbe, ReplicaState

log = logging.getLogger(__name__)

GIVE_UP_AFTER = 3
"""Starts in a row that ended before READY. The same command will not do better later."""

_STEADY_SECONDS = 30.0
"""READY for so long counts as a good start: the next failure is a new story."""

_EAGER_SECONDS = 0.25
"""Between probes before the first READY. On loopback waiting a whole interval buys nothing."""

_DOWN_GRACE_SECONDS = 2.0
_LOST_GRACE_SECONDS = 1.0
_RELEASE_SECONDS = 30.0  # the load balancer asks every 20 s which replicas there are
_DRAIN_SECONDS = 70.0  # a replica gives its last streams 60 s by itself

StartReplica = Callable[[int, int], Awaitable[GuardedProcess]]
"""Starts the replica of an id on a port."""


@dataclass(frozen=True, slots=True)
class _Ending:
    state: ReplicaState
    reason: str
    ready_seconds: float | None = None
    """For how long it had been READY since its first; None if it never was."""


class Slot:
    """Keeps one replica alive until it is retired (``retire``) or its task is cancelled."""

    def __init__(
        self,
        board: Board,
        rules: ReadinessProbe,
        start: StartReplica,
        client: httpx.AsyncClient,
        log_tail: Callable[[int], str | None],
    ) -> None:
        self._board, self._rules, self._start = board, rules, start
        self._client, self._log_tail = client, log_tail
        self._port = keep_free_port()
        self._retired = asyncio.Event()
        self.replica_id = board.open_replica(self._url, None)

    @property
    def _url(self) -> str:
        return f"http://{LOOPBACK}:{self._port.number}"

    @property
    def retired(self) -> bool:
        return self._retired.is_set()

    def retire(self) -> None:
        """Scale down: let the load balancer forget the replica, let it drain, then end it."""
        self._retired.set()
        if self._board.replica(self.replica_id).status.launched_at is not None:
            self._board.change_replica(
                self.replica_id, state=ReplicaState.SHUTTING_DOWN, reason="scaled down"
            )

    async def run(self) -> None:
        try:
            await self._keep_alive()
        finally:
            self._port.release()

    async def _keep_alive(self) -> None:
        failures = unready = 0
        while True:
            ending = await self._wait(_backoff(failures)) or await self._live()
            gave_up = False
            if ending.state is not ReplicaState.TERMINATED:
                steady = (ending.ready_seconds or 0) >= _STEADY_SECONDS
                failures = 1 if steady else failures + 1
                unready = unready + 1 if ending.ready_seconds is None else 0
                gave_up = unready >= GIVE_UP_AFTER
            reason = (
                f"{ending.reason}; gave up after {unready} starts" if gave_up else ending.reason
            )
            ended = self.replica_id
            if ending.state is not ReplicaState.TERMINATED and not gave_up:
                if ending.ready_seconds is None:
                    # Perhaps the port is what was wrong. A replica that had been READY keeps
                    # it instead: the load balancer, which asks for its list only every 20 s,
                    # then finds the new replica where the old one was.
                    suspect, self._port = self._port, keep_free_port()
                    suspect.release()
                # The next one first: a service that will try again never looks given up.
                delay = _backoff(failures)
                again = f"starts in {delay:g} s, after replica {ended} {reason}" if delay else None
                self.replica_id = self._board.open_replica(self._url, again)
            self._board.change_replica(
                ended, state=ending.state, reason=reason, ended_at=datetime.now(UTC)
            )
            if ended == self.replica_id:
                return

    async def _wait(self, seconds: float) -> _Ending | None:
        try:
            await asyncio.wait_for(self._retired.wait(), seconds)
        except TimeoutError:
            return None
        except asyncio.CancelledError:
            self._note_end("taken down")
            raise
        return _Ending(ReplicaState.TERMINATED, "scaled down")

    async def _live(self) -> _Ending:
        """Run one replica from start to end."""
        replica_id = self.replica_id
        launched = asyncio.get_running_loop().time()
        self._board.change_replica(
            replica_id, state=ReplicaState.STARTING, reason=None, launched_at=datetime.now(UTC)
        )
        try:
            process = await self._start(replica_id, self._port.number)
        except OSError as error:
            return _Ending(ReplicaState.FAILED, f"could not be started: {error}")
        self._board.change_replica(replica_id, pid=process.pid)
        health = Health(self._rules, launched)
        exited = asyncio.create_task(process.wait())
        lost = asyncio.create_task(self._probe_until_lost(health))
        retired = asyncio.create_task(self._retired.wait())
        try:
            await asyncio.wait({exited, lost, retired}, return_when=asyncio.FIRST_COMPLETED)
            ready_seconds = self._ready_seconds()
            if exited.done():
                reason = how_it_ended(exited.result(), self._log_tail(replica_id))
                return _Ending(ReplicaState.FAILED, reason, ready_seconds)
            if lost.done():
                state, reason = lost.result()
                await process.stop(_LOST_GRACE_SECONDS)
                return _Ending(state, reason, ready_seconds)
            lost.cancel()
            await self._drain(process)
            return _Ending(ReplicaState.TERMINATED, "scaled down")
        except asyncio.CancelledError:
            await process.stop(_DOWN_GRACE_SECONDS)
            self._note_end("taken down")
            raise
        finally:
            for task in (exited, lost, retired):
                task.cancel()

    async def _probe_until_lost(self, health: Health) -> tuple[ReplicaState, str]:
        clock = asyncio.get_running_loop().time
        while True:
            sent = clock()
            complaint = await probe(
                self._client, self._url + self._rules.path, self._rules.timeout_seconds
            )
            verdict = health.judge(answered=complaint is None, at=sent)
            if verdict is Verdict.LATE:
                reason = f"not ready within {self._rules.initial_delay_seconds:g} s: {complaint}"
                return ReplicaState.FAILED_INITIAL_DELAY, reason
            if verdict is Verdict.LOST:
                failing_for = self._rules.consecutive_failure_threshold_timeout
                reason = f"failed its probes for {failing_for:g} s: {complaint}"
                return ReplicaState.FAILED_PROBING, reason
            self._note_verdict(verdict, complaint)
            interval = self._rules.endpoint_probe_interval_seconds
            if verdict is Verdict.STARTING:
                interval = min(interval, _EAGER_SECONDS)
            await asyncio.sleep(max(0.0, sent + interval - clock()))

    def _note_verdict(self, verdict: Verdict, complaint: str | None) -> None:
        if self.retired:
            return  # it is SHUTTING_DOWN, however well it answers
        if verdict is Verdict.READY:
            ready_at = self._board.replica(self.replica_id).status.ready_at or datetime.now(UTC)
            self._board.change_replica(
                self.replica_id, state=ReplicaState.READY, reason=None, ready_at=ready_at
            )
        elif verdict is Verdict.NOT_READY:
            self._board.change_replica(
                self.replica_id, state=ReplicaState.NOT_READY, reason=complaint
            )

    async def _drain(self, process: GuardedProcess) -> None:
        """End a replica without losing a request.

        The load balancer goes on sending until it has next asked which replicas there are, so
        the replica keeps serving until then.
        """
        url = self._url
        try:
            released = self._board.until(lambda: url not in self._board.record.routable)
            await asyncio.wait_for(released, _RELEASE_SECONDS)
        except TimeoutError:
            log.warning("replica %d: the load balancer did not let go of it", self.replica_id)
        await process.stop(_DRAIN_SECONDS)

    def _ready_seconds(self) -> float | None:
        ready_at = self._board.replica(self.replica_id).status.ready_at
        return (datetime.now(UTC) - ready_at).total_seconds() if ready_at else None

    def _note_end(self, reason: str) -> None:
        self._board.change_replica(
            self.replica_id,
            state=ReplicaState.TERMINATED,
            reason=reason,
            ended_at=datetime.now(UTC),
        )


def _backoff(failures: int) -> float:
    """0, 0, 1, 2, 4 … 30 s: the first replacement comes at once."""
    return 0.0 if failures < 2 else min(30.0, 2.0 ** (failures - 2))
