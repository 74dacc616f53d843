"""The nouns of running services: what is asked for, what is seen, what it costs.

States carry SkyServe's own names (sky/serve/serve_state.py), for the local backend too. Times
are timezone-aware UTC, money ``Decimal`` USD. Knows the planner's nouns and nothing that runs.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from skyserve_llm.types import EngineName

BackendName = Literal["local", "skypilot"]


class ReplicaState(StrEnum):
    """SkyServe's ``ReplicaStatus``, and TERMINATED for one that is known to be gone."""

    PENDING = "PENDING"
    PROVISIONING = "PROVISIONING"
    STARTING = "STARTING"
    READY = "READY"
    NOT_READY = "NOT_READY"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    FAILED = "FAILED"
    FAILED_INITIAL_DELAY = "FAILED_INITIAL_DELAY"
    FAILED_PROBING = "FAILED_PROBING"
    FAILED_PROVISION = "FAILED_PROVISION"
    FAILED_CLEANUP = "FAILED_CLEANUP"
    PREEMPTED = "PREEMPTED"
    UNKNOWN = "UNKNOWN"
    TERMINATED = "TERMINATED"

    @property
    def alive(self) -> bool:
        """Whether something is (or may be) running and billed in this state."""
        return self in _ALIVE


_ALIVE = frozenset(
    {
        ReplicaState.PROVISIONING,
        ReplicaState.STARTING,
        ReplicaState.READY,
        ReplicaState.NOT_READY,
        ReplicaState.SHUTTING_DOWN,
        ReplicaState.FAILED_CLEANUP,
        ReplicaState.UNKNOWN,
    }
)


class ServiceState(StrEnum):
    """SkyServe's ``ServiceStatus``, and UNKNOWN for one that cannot be asked."""

    CONTROLLER_INIT = "CONTROLLER_INIT"
    REPLICA_INIT = "REPLICA_INIT"
    CONTROLLER_FAILED = "CONTROLLER_FAILED"
    READY = "READY"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    FAILED = "FAILED"
    FAILED_CLEANUP = "FAILED_CLEANUP"
    NO_REPLICA = "NO_REPLICA"
    UNKNOWN = "UNKNOWN"


# --- what is asked for ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessProbe:
    """SkyServe's probe settings, in seconds, under SkyServe's own names."""

    path: str = "/v1/health"
    endpoint_probe_interval_seconds: float = 5
    timeout_seconds: float = 5
    initial_delay_seconds: float = 1200
    consecutive_failure_threshold_timeout: float = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a replica may run. ``accelerator`` is the GPU's name in the cloud's own catalog."""

    cloud: str
    region: str | None
    zone: str | None
    instance_type: str | None
    accelerator: str
    accelerator_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """Everything needed to run a plan, on a cloud or on this machine.

    ``engine_args`` are ``(flag, value)`` pairs under vLLM's names, value None for a switch.
    ``secrets`` are names of environment variables: their values never enter the spec.
    ``price_per_hour`` is what one replica costs where the plan put it; None for no plan.
    """

    name: str
    model: str
    revision: str | None
    engine: EngineName
    engine_args: tuple[tuple[str, str | None], ...] = ()
    replicas: int = 1
    use_spot: bool = False
    places: tuple[Place, ...] = ()
    disk_size_gib: int = 100
    replica_port: int = 8000
    load_balancing_policy: str = "round_robin"
    stream_timeout_seconds: int = 120
    readiness_probe: ReadinessProbe = field(default_factory=ReadinessProbe)
    secrets: tuple[str, ...] = ()
    price_per_hour: Decimal | None = None
    price_source: str | None = None


# --- what is seen --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStatus:
    """One replica as last seen. ``infra`` reads like ``gcp/us-central1-a`` or ``local``."""

    replica_id: int
    state: ReplicaState
    url: str | None
    infra: str
    instance_type: str | None
    accelerators: str | None
    spot: bool
    price_per_hour: Decimal | None
    launched_at: datetime | None
    ready_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One service as last seen. ``replicas`` also holds the ones that have ended.

    ``created_at`` tells apart services of one name that were deployed at different times;
    None where the backend cannot say.
    """

    name: str
    backend: BackendName
    model: str | None
    state: ServiceState
    endpoint: str | None
    target_replicas: int
    replicas: tuple[ReplicaStatus, ...]
    observed_at: datetime
    created_at: datetime | None = None
    reason: str | None = None

    @property
    def ready_replicas(self) -> int:
        return sum(replica.state is ReplicaState.READY for replica in self.replicas)


# --- what it costs -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaInterval:
    """One replica's billed time. ``ended_at`` None while it runs, as far as anybody knows.

    ``deployment`` is the service's name and the time it was created: one name may be used
    again.
    """

    deployment: str
    service: str
    backend: BackendName
    replica_id: int
    launched_at: datetime
    ended_at: datetime | None
    last_seen: datetime
    state: ReplicaState
    infra: str
    instance_type: str | None
    accelerators: str | None
    spot: bool
    price_per_hour: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """One replica's share of the bill. ``price_per_hour`` None leaves every amount None."""

    service: str
    replica_id: int
    infra: str
    accelerators: str | None
    spot: bool
    state: ReplicaState
    hours: Decimal
    price_per_hour: Decimal | None
    so_far: Decimal | None
    per_month: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """The bill so far. Totals hold the lines of known price; ``unpriced`` counts the others."""

    lines: tuple[CostLine, ...]
    price_per_hour: Decimal
    so_far: Decimal
    per_month: Decimal
    unpriced: int
    observed_at: datetime
    note: str | None = None
