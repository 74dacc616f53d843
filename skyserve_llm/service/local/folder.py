"""A local service's folder: what lies where, and reading and writing it.

    spec.json        what was asked for, and the command that starts a replica
    state.json       what the supervisor last knew; replaced whole, never written in place
    control.json     where the supervisor listens and the token it wants (mode 0600)
    supervisor.lock  held by the supervisor (see locks.py), whose pid it contains; its mtime
                     is the last heartbeat
    processes.lock   held by everything of the service
    logs/            controller.log, load-balancer.log, replica-<id>.log

Knows the documents' shapes and nothing of processes.
"""

import contextlib
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from skyserve_llm.errors import BackendError
from skyserve_llm.service.local.state import ServiceRecord
from skyserve_llm.service.types import ServiceSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchOrder:
    """What ``deploy`` hands to the supervisor. ``replica_command`` has PORT for the port."""

    spec: ServiceSpec
    replica_command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """Where the supervisor takes orders, and the token that it takes them with."""

    url: str
    token: str


_T = TypeVar("_T")

_ORDER = TypeAdapter(LaunchOrder)
_RECORD = TypeAdapter(ServiceRecord)
_CONTROL = TypeAdapter(Control)


@dataclass(frozen=True, slots=True)
class ServiceFolder:
    """Paths and documents of one local service."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def supervisor_lock(self) -> Path:
        return self.path / "supervisor.lock"

    @property
    def processes_lock(self) -> Path:
        return self.path / "processes.lock"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def controller_log(self) -> Path:
        return self.logs / "controller.log"

    @property
    def load_balancer_log(self) -> Path:
        return self.logs / "load-balancer.log"

    def replica_log(self, replica_id: int) -> Path:
        return self.logs / f"replica-{replica_id}.log"

    @property
    def exists(self) -> bool:
        return self._spec.exists() or self._state.exists() or self.supervisor_lock.exists()

    @property
    def supervisor_pid(self) -> int | None:
        """True only while ``supervisor_lock`` is held: the holder wrote it."""
        with contextlib.suppress(OSError, ValueError):
            return int(self.supervisor_lock.read_text())
        return None

    @property
    def heartbeat(self) -> datetime | None:
        """When the supervisor last showed that it lives."""
        with contextlib.suppress(FileNotFoundError):
            return datetime.fromtimestamp(self.supervisor_lock.stat().st_mtime, UTC)
        return None

    @property
    def _spec(self) -> Path:
        return self.path / "spec.json"

    @property
    def _state(self) -> Path:
        return self.path / "state.json"

    @property
    def _control(self) -> Path:
        return self.path / "control.json"

    def create(self) -> None:
        # 0700: logs hold what clients sent.
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.logs.mkdir(mode=0o700, exist_ok=True)

    def remove(self) -> None:
        """Remove what is the local backend's, and the folder if nothing else lies in it."""
        shutil.rmtree(self.logs, ignore_errors=True)
        # The lock goes last: until then the name is taken.
        for path in (
            *(self._state, self._spec, self._control),
            *self.path.glob(".*.new"),
            *(self.processes_lock, self.supervisor_lock),
        ):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def write_order(self, order: LaunchOrder) -> None:
        _replace(self._spec, _ORDER.dump_json(order, indent=1))

    def read_order(self) -> LaunchOrder:
        return self._read(self._spec, _ORDER)

    def write_state(self, record: ServiceRecord) -> None:
        _replace(self._state, record_json(record))

    def read_state(self) -> ServiceRecord | None:
        """The state last written; None if there is none yet."""
        try:
            return self._read(self._state, _RECORD)
        except BackendError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return None
            raise

    def write_control(self, control: Control) -> None:
        _replace(self._control, _CONTROL.dump_json(control))

    def read_control(self) -> Control:
        return self._read(self._control, _CONTROL)

    def _read(self, path: Path, adapter: TypeAdapter[_T]) -> _T:
        try:
            return adapter.validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise BackendError(
                f"local service {self.name!r}: cannot read {path.name}: {_what(error)}",
                hint=f"`llmbudget down {self.name}` ends what runs of it and clears it away",
            ) from error


def record_json(record: ServiceRecord) -> bytes:
    return _RECORD.dump_json(record, indent=1)


def parse_record(data: bytes) -> ServiceRecord:
    """Raises ValueError for what is no record."""
    return _RECORD.validate_json(data)


def _what(error: OSError | ValidationError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def _replace(path: Path, data: bytes) -> None:
    """Whoever reads sees the old document or the new one, never half of one."""
    # One writer a file (deploy, then the supervisor), so the name beside it is nobody else's.
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    beside.replace(path)
