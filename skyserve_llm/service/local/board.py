"""The supervisor's notice board: the one place that holds and changes what it knows.

Every change is written to the state file and wakes whoever waits for one. Knows records and
nothing of processes, probes or HTTP.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from skyserve_llm.service.local.folder import ServiceFolder
from skyserve_llm.service.local.state import (
    ReplicaRecord,
    ServiceRecord,
    new_replica,
    service_state,
)
from skyserve_llm.service.types import ReplicaState, ServiceSpec, ServiceState

_REMEMBERED = 50
"""Ended replicas kept in the state file, with their logs."""

log = logging.getLogger(__name__)


class Board:
    """What the supervisor knows. Used from its event loop only."""

    def __init__(self, folder: ServiceFolder, spec: ServiceSpec, endpoint: str) -> None:
        self._folder = folder
        self._spec = spec
        self._changed = asyncio.Event()
        self._last_id = 0
        self.syncs = 0
        self.record = ServiceRecord(
            name=spec.name,
            model=spec.model,
            created_at=datetime.now(UTC),
            endpoint=endpoint,
            state=ServiceState.CONTROLLER_INIT,
            target_replicas=spec.replicas,
        )

    # --- reading -----------------------------------------------------------------------

    def replica(self, replica_id: int) -> ReplicaRecord:
        return next(r for r in self.record.replicas if r.status.replica_id == replica_id)

    @property
    def ready_urls(self) -> list[str]:
        return [
            replica.status.url
            for replica in self.record.replicas
            if replica.status.state is ReplicaState.READY and replica.status.url
        ]

    @property
    def all_ready(self) -> bool:
        """Whether every replica that is wanted and not given up is READY."""
        living = [replica for replica in self.record.replicas if not replica.ended]
        return bool(living) and len(self.ready_urls) == sum(
            replica.status.state is not ReplicaState.SHUTTING_DOWN for replica in living
        )

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Return once ``predicate`` holds; it is asked again after every change."""
        while not predicate():
            await self._changed.wait()

    # --- writing -----------------------------------------------------------------------

    def open_replica(self, url: str, reason: str | None) -> int:
        """Announce a replica that waits to be started. Ids are never used twice."""
        self._last_id += 1
        record = new_replica(self._spec, replica_id=self._last_id, url=url, reason=reason)
        self.change(replicas=(*self.record.replicas, record))
        return self._last_id

    def change_replica(
        self, replica_id: int, *, pid: int | None = None, **changes: Any
    ) -> ReplicaRecord:
        """Replace fields of a replica's status, and its pid if one is given."""
        old = self.replica(replica_id)
        new = replace(old, status=replace(old.status, **changes), pid=pid or old.pid)
        if new == old:
            return old
        replicas = tuple(new if replica is old else replica for replica in self.record.replicas)
        self.change(replicas=self._forget(replicas) if new.ended else replicas)
        if new.status.state is not old.status.state:
            why = f": {new.status.reason}" if new.status.reason else ""
            log.info("replica %d %s%s", replica_id, new.status.state, why)
        return new

    def note_sync(self, urls: list[str]) -> None:
        """The load balancer asked and was told ``urls``."""
        self.syncs += 1
        self.change(routable=tuple(urls))

    def change(self, **changes: Any) -> None:
        """Replace fields of the service's record; its state follows from its replicas."""
        self.record = replace(self.record, **changes)
        if "state" not in changes and self.record.state not in _SETTLED:
            self.record = replace(self.record, state=service_state(self.record))
        self.save()
        self._changed.set()
        self._changed = asyncio.Event()

    def save(self) -> None:
        try:
            self._folder.write_state(self.record)
        except OSError as error:  # a full disk does not stop a service that runs
            log.error("cannot write the state file: %s", error)  # noqa: TRY400 (one line)

    def _forget(self, replicas: tuple[ReplicaRecord, ...]) -> tuple[ReplicaRecord, ...]:
        ended = [replica for replica in replicas if replica.ended]
        forgotten = ended[: max(0, len(ended) - _REMEMBERED)]
        for replica in forgotten:
            path = self._folder.replica_log(replica.status.replica_id)
            for old in (path, path.with_name(path.name + ".1")):
                old.unlink(missing_ok=True)
        return tuple(replica for replica in replicas if replica not in forgotten)


_SETTLED = frozenset({ServiceState.SHUTTING_DOWN, ServiceState.CONTROLLER_FAILED})
"""States that no replica's news changes."""
