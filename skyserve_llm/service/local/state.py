"""What the supervisor knows of its service, and how the rest of the program sees it.

``ServiceRecord`` is the state file; ``status_of_running`` and ``status_of_dead`` turn it into
the ``ServiceStatus`` that every backend speaks. Pure: no files, no clock, no processes.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from skyserve_llm.service.types import (
    ReplicaState,
    ReplicaStatus,
    ServiceSpec,
    ServiceState,
    ServiceStatus,
)

HEARTBEAT_SECONDS = 1.0

_SILENT_AFTER = timedelta(seconds=15)
"""A supervisor that lives but has not beaten for this long is stopped or starved."""

_ENDED_STATES = frozenset(
    {
        ReplicaState.FAILED,
        ReplicaState.FAILED_PROBING,
        ReplicaState.FAILED_INITIAL_DELAY,
        ReplicaState.TERMINATED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRecord:
    """One replica: what the world is told, and the pid of its process."""

    status: ReplicaStatus
    pid: int | None = None

    @property
    def ended(self) -> bool:
        return self.status.state in _ENDED_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRecord:
    """The state file. ``routable`` are the URLs that the load balancer was last told of."""

    name: str
    model: str
    created_at: datetime
    endpoint: str
    state: ServiceState
    target_replicas: int
    reason: str | None = None
    replicas: tuple[ReplicaRecord, ...] = ()
    routable: tuple[str, ...] = ()
    load_balancer_pid: int | None = None


def new_replica(
    spec: ServiceSpec, *, replica_id: int, url: str, reason: str | None
) -> ReplicaRecord:
    """A replica that waits to be started."""
    return ReplicaRecord(
        status=ReplicaStatus(
            replica_id=replica_id,
            state=ReplicaState.PENDING,
            url=url,
            infra="local",
            instance_type=None,
            accelerators=None,
            # Price and spot are the plan's: what this replica would cost where the plan put it.
            spot=spec.use_spot,
            price_per_hour=spec.price_per_hour,
            launched_at=None,
            reason=reason,
        )
    )


def service_state(record: ServiceRecord) -> ServiceState:
    """SkyServe's rule: one READY replica makes a service READY."""
    states = {replica.status.state for replica in record.replicas if not replica.ended}
    if ReplicaState.READY in states:
        return ServiceState.READY
    if states - {ReplicaState.SHUTTING_DOWN}:
        return ServiceState.REPLICA_INIT
    if record.target_replicas and any(replica.ended for replica in record.replicas):
        return ServiceState.FAILED  # every place for a replica was given up
    return ServiceState.NO_REPLICA


def status_of_running(
    record: ServiceRecord, *, now: datetime, heartbeat: datetime
) -> ServiceStatus:
    """As the supervisor wrote it, unless nothing was heard of the supervisor for long."""
    status = _status(record, now)
    if now - heartbeat <= _SILENT_AFTER:
        return status
    return replace(
        status,
        state=ServiceState.UNKNOWN,
        reason=f"the supervisor runs but has not been heard of since {_clock(heartbeat)}",
    )


def status_of_dead(
    record: ServiceRecord, *, now: datetime, died_at: datetime, leftovers: bool
) -> ServiceStatus:
    """The supervisor is gone, so nothing in the record is true any more but the past.

    ``leftovers``: the guards are still ending its replicas.
    """
    # One that was ended by a signal had the time to say so, and to end its replicas.
    what = record.reason if record.state is ServiceState.SHUTTING_DOWN else "the supervisor died"
    reason = f"{what} at {_clock(died_at)}"

    def gone(replica: ReplicaRecord) -> ReplicaRecord:
        if replica.ended:
            return replica
        state = ReplicaState.SHUTTING_DOWN if leftovers else ReplicaState.FAILED
        ended_at = None if leftovers else died_at
        return replace(
            replica, status=replace(replica.status, state=state, ended_at=ended_at, reason=reason)
        )

    dead = replace(record, replicas=tuple(gone(replica) for replica in record.replicas))
    return replace(_status(dead, now), state=ServiceState.FAILED, reason=reason)


def status_of_downed(status: ServiceStatus, *, at: datetime) -> ServiceStatus:
    """The last word on a service that was taken down: every replica has ended."""

    def ended(replica: ReplicaStatus) -> ReplicaStatus:
        if replica.ended_at is not None:
            return replica
        state = replica.state if replica.state in _ENDED_STATES else ReplicaState.TERMINATED
        return replace(replica, state=state, ended_at=at)

    return replace(
        status,
        state=ServiceState.SHUTTING_DOWN,
        target_replicas=0,
        replicas=tuple(ended(replica) for replica in status.replicas),
        observed_at=at,
    )


def _status(record: ServiceRecord, now: datetime) -> ServiceStatus:
    return ServiceStatus(
        name=record.name,
        backend="local",
        model=record.model,
        state=record.state,
        endpoint=record.endpoint,
        target_replicas=record.target_replicas,
        replicas=tuple(replica.status for replica in record.replicas),
        observed_at=now,
        created_at=record.created_at,
        reason=record.reason,
    )


def _clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
