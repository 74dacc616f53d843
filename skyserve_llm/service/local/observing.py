"""What can be said of a local service from the outside, whatever became of its supervisor.

Reads the folder and asks the locks; changes nothing.
"""

import contextlib
from datetime import UTC, datetime

from skyserve_llm.errors import BackendError
from skyserve_llm.service.local import locks
from skyserve_llm.service.local.folder import ServiceFolder
from skyserve_llm.service.local.state import status_of_dead, status_of_running
from skyserve_llm.service.types import ServiceState, ServiceStatus


def observe(folder: ServiceFolder) -> ServiceStatus:
    """How the service stands.

    Raises:
        BackendError: its state cannot be read.
    """
    # The lock before the state: one that ends between the two has written its last word.
    alive = locks.is_held(folder.supervisor_lock)
    record = folder.read_state()
    now = datetime.now(UTC)
    if record is None:
        state = ServiceState.CONTROLLER_INIT if alive else ServiceState.CONTROLLER_FAILED
        return _unknown(folder, state, None if alive else "its supervisor never started")
    if alive:
        return status_of_running(record, now=now, heartbeat=folder.heartbeat or now)
    return status_of_dead(
        record,
        now=now,
        died_at=folder.heartbeat or now,
        leftovers=locks.is_held(folder.processes_lock),
    )


def observe_or_tell_why_not(folder: ServiceFolder) -> ServiceStatus:
    """As ``observe``, but a state that cannot be read is UNKNOWN, for the reason it gives."""
    try:
        return observe(folder)
    except BackendError as error:
        return _unknown(folder, ServiceState.UNKNOWN, error.message)


def log_is_over(folder: ServiceFolder, replica_id: int | None) -> bool:
    """Whether nobody will write to the log of a replica, or of the service, any more."""
    if not locks.is_held(folder.supervisor_lock):
        return True
    with contextlib.suppress(BackendError):
        record = folder.read_state()
        if record is not None and replica_id is not None:
            running = (r.status.replica_id for r in record.replicas if not r.ended)
            return replica_id not in running
    return False


def _unknown(folder: ServiceFolder, state: ServiceState, reason: str | None) -> ServiceStatus:
    return ServiceStatus(
        name=folder.name,
        backend="local",
        model=None,
        state=state,
        endpoint=None,
        target_replicas=0,
        replicas=(),
        observed_at=datetime.now(UTC),
        reason=reason,
    )
