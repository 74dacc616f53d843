"""The backend of ``llmbudget deploy --local``: services on this machine.

Runs in the command line's process, which may end at any moment: everything that must last is
the supervisor's, reached through its folder (folder.py), its locks (locks.py) and its control
address (orders.py).
"""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from skyserve_llm import home
from skyserve_llm.errors import BackendError, InputError, ServiceNotFoundError
from skyserve_llm.service.backend import Progress
from skyserve_llm.service.local import locks, startup
from skyserve_llm.service.local.aftermath import clear_away
from skyserve_llm.service.local.command import ReplicaCommand, replica_command
from skyserve_llm.service.local.folder import LaunchOrder, ServiceFolder
from skyserve_llm.service.local.lines import read_lines
from skyserve_llm.service.local.observing import (
    log_is_over,
    observe,
    observe_or_tell_why_not,
)
from skyserve_llm.service.local.orders import scale, take_down
from skyserve_llm.service.local.ports import LOOPBACK, listen
from skyserve_llm.service.local.state import status_of_downed
from skyserve_llm.service.spec import check_name, check_replicas, is_name
from skyserve_llm.service.types import BackendName, ServiceSpec, ServiceStatus


class LocalBackend:
    """Implements ``Backend`` on this machine.

    ``load_balancer_port`` None takes the first free one from 30001. ``command`` makes a
    replica's command line, with ``command.PORT`` where its port belongs.
    """

    name: BackendName = "local"

    def __init__(
        self,
        services: Path | None = None,
        *,
        load_balancer_port: int | None = None,
        command: ReplicaCommand = replica_command,
    ) -> None:
        self._services = services
        self._load_balancer_port = load_balancer_port
        self._command = command

    # --- the protocol ------------------------------------------------------------------

    def deploy(
        self, spec: ServiceSpec, *, progress: Progress, timeout_seconds: float
    ) -> ServiceStatus:
        startup.require_load_balancer()
        check_name(spec.name)
        check_replicas(spec.replicas)
        folder = self._folder(spec.name)
        try:
            self._claim_and_start(folder, spec, progress)
        except OSError as error:
            raise BackendError(f"cannot start {spec.name!r} in {folder.path}: {error}") from error
        startup.await_answer(
            folder,
            probe_path=spec.readiness_probe.path,
            progress=progress,
            timeout_seconds=timeout_seconds,
        )
        return observe(folder)

    def status(self, name: str | None = None) -> list[ServiceStatus]:
        if name is not None:
            folder = self._existing(name)
            return [observe(folder)] if folder else []
        return [observe_or_tell_why_not(folder) for folder in self._all()]

    def logs(
        self, name: str, *, replica_id: int | None, load_balancer: bool, follow: bool
    ) -> Iterator[str]:
        folder = self._known(name)
        path = folder.load_balancer_log if load_balancer else folder.controller_log
        if replica_id is not None and not load_balancer:
            path = folder.replica_log(replica_id)
            record = folder.read_state()
            ids = [r.status.replica_id for r in record.replicas] if record else []
            if replica_id not in ids:
                raise ServiceNotFoundError(
                    f"local service {name!r} has no replica {replica_id}",
                    hint=f"it has {', '.join(map(str, ids)) or 'none'}",
                )
        return read_lines(path, follow=follow, ended=partial(log_is_over, folder, replica_id))

    def scale(self, name: str, replicas: int, *, progress: Progress) -> ServiceStatus:
        if replicas < 0:
            raise InputError(f"cannot scale to {replicas} replicas")
        folder = self._known(name)
        if not locks.is_held(folder.supervisor_lock):
            raise BackendError(
                f"local service {name!r} is not running: its supervisor died",
                hint=f"`llmbudget down {name}`, then deploy it again",
            )
        progress(f"{name}: asking for {replicas} replicas")
        return scale(folder, replicas)

    def down(self, name: str, *, progress: Progress) -> ServiceStatus | None:
        folder = self._existing(name)
        if folder is None:
            return None
        last = observe_or_tell_why_not(folder)
        if locks.is_held(folder.supervisor_lock):
            progress(f"{name}: ending {last.ready_replicas} ready replicas")
            with contextlib.suppress(BackendError):  # then it is ended without its help
                last = take_down(folder)
        if folder.exists:
            clear_away(folder, progress)
        return status_of_downed(last, at=datetime.now(UTC))

    # --- beyond the protocol -----------------------------------------------------------

    def has(self, name: str) -> bool:
        """Whether there is anything of that name here, even if its state cannot be read."""
        return self._existing(name) is not None

    def replica_pid(self, name: str, replica_id: int) -> int | None:
        """The pid of a replica that runs: what a rehearsal of its death needs."""
        record = self._known(name).read_state()
        for replica in record.replicas if record else ():
            if replica.status.replica_id == replica_id and not replica.ended:
                return replica.pid
        return None

    # --- parts -------------------------------------------------------------------------

    def _claim_and_start(self, folder: ServiceFolder, spec: ServiceSpec, tell: Progress) -> None:
        folder.create()
        lock = locks.claim(folder.supervisor_lock)
        if lock is None:
            raise InputError(
                f"a local service named {spec.name!r} is running",
                hint=f"`llmbudget status {spec.name}`, `llmbudget down {spec.name}`, "
                "or another name",
            )
        try:
            self._start(folder, spec, lock, tell)
        finally:
            os.close(lock)  # the supervisor holds it now

    def _start(self, folder: ServiceFolder, spec: ServiceSpec, lock: int, tell: Progress) -> None:
        if folder.read_state() is not None:
            raise InputError(
                f"a local service named {spec.name!r} died and was not cleared away",
                hint=f"`llmbudget down {spec.name}`",
            )
        os.ftruncate(lock, 0)  # the pid in it was of one that is gone
        listener = None
        try:
            listener = listen(self._load_balancer_port)
            port = listener.getsockname()[1]
            for name in spec.secrets:
                if name not in os.environ:
                    tell(f"{name} is not set: the replicas run without it")
            folder.write_order(LaunchOrder(spec=spec, replica_command=tuple(self._command(spec))))
            endpoint = f"http://{LOOPBACK}:{port}"
            startup.start_supervisor(folder, listener=listener, lock=lock, endpoint=endpoint)
        except BaseException:
            folder.remove()
            raise
        finally:
            if listener is not None:
                listener.close()

    def _root(self) -> Path:
        return self._services or home.home() / "services"

    def _folder(self, name: str) -> ServiceFolder:
        return ServiceFolder(self._root() / name)

    def _existing(self, name: str) -> ServiceFolder | None:
        folder = self._folder(name)
        return folder if is_name(name) and folder.exists else None

    def _known(self, name: str) -> ServiceFolder:
        if (folder := self._existing(name)) is None:
            raise ServiceNotFoundError(
                f"no local service named {name!r}", hint="`llmbudget status` lists what runs"
            )
        return folder

    def _all(self) -> list[ServiceFolder]:
        root = self._root()
        names = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
        return [folder for name in names if (folder := self._existing(name))]
