"""What the tests of local services share: a quick spec, a backend whose replicas are
``fake_replica.py``, and waiting with a deadline."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from skyserve_llm.errors import NotReadyError
from skyserve_llm.service.local import LocalBackend, locks
from skyserve_llm.service.local.command import PORT
from skyserve_llm.service.local.folder import ServiceFolder
from skyserve_llm.service.local.state import ReplicaRecord, ServiceRecord
from skyserve_llm.service.types import ReadinessProbe, ReplicaState, ServiceSpec, ServiceStatus

FAKE_REPLICA = str(Path(__file__).with_name("fake_replica.py"))

QUICK_PROBE = ReadinessProbe(
    endpoint_probe_interval_seconds=0.3,
    timeout_seconds=0.5,
    initial_delay_seconds=30,
    consecutive_failure_threshold_timeout=0.9,
)

T = TypeVar("T")


def wait_for(what: Callable[[], T], seconds: float = 10) -> T:
    """The first true answer of ``what``; fails after ``seconds``."""
    until = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < until, f"still {answer!r} after {seconds} s"
        time.sleep(0.05)
    return answer


def silent(_line: str) -> None:
    """Progress that nobody reads."""


def spec(name: str = "chat", **changes: object) -> ServiceSpec:
    values = {
        "model": "acme/llama",
        "revision": None,
        "engine": "simulated",
        "replicas": 2,
        "readiness_probe": QUICK_PROBE,
    }
    return ServiceSpec(name=name, **(values | changes))  # type: ignore[arg-type]


class Bench:
    """A folder of services, and a look at their processes that asks nobody but the system."""

    def __init__(self, services: Path) -> None:
        self.services = services

    def backend(self, *options: str, port: int | None = None) -> LocalBackend:
        command = (sys.executable, "-S", FAKE_REPLICA, "--port", PORT, *options)
        return LocalBackend(self.services, load_balancer_port=port, command=lambda _: command)

    def start(self, *options: str, **changes: object) -> LocalBackend:
        """Deploy without waiting for the load balancer, which takes 6 s."""
        backend = self.backend(*options)
        with suppress(NotReadyError):
            backend.deploy(spec(**changes), progress=silent, timeout_seconds=0.01)  # type: ignore[arg-type]
        # On a busy machine the supervisor may not have said anything yet.
        wait_for(lambda: self.folder().read_state() is not None, 20)
        return backend

    def folder(self, name: str = "chat") -> ServiceFolder:
        return ServiceFolder(self.services / name)

    def record(self, name: str = "chat") -> ServiceRecord:
        record = self.folder(name).read_state()
        assert record is not None
        return record

    def alive(self, name: str = "chat") -> list[ReplicaRecord]:
        return [replica for replica in self.record(name).replicas if not replica.ended]

    def supervisor(self, name: str = "chat") -> int:
        pid = self.folder(name).supervisor_pid
        assert pid is not None
        return pid

    def processes(self, name: str = "chat") -> set[int]:
        """Supervisor, guards, load balancer, replicas: who holds the service's process lock."""
        return locks.holders(self.folder(name).processes_lock)

    def end_everything(self) -> None:
        for path in self.services.iterdir() if self.services.exists() else ():
            # Until none is left: one that was just being started is in no single look.
            while holders := self.processes(path.name):
                for pid in holders:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


def all_ready(status: ServiceStatus, count: int) -> bool:
    return status.ready_replicas == count and status.target_replicas == count


def ready_ids(status: ServiceStatus) -> list[int]:
    return [r.replica_id for r in status.replicas if r.state is ReplicaState.READY]


def running(pid: int) -> bool:
    """Whether ``pid`` runs a program: it is not gone, not a zombie, and not on its last way out,
    when it has given up its memory already and holds nothing any more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except (FileNotFoundError, ProcessLookupError):
        return False
