"""Starting a service's supervisor and watching it get ready, from the command line's side.

Knows processes and the state file; what the supervisor does is told in supervisor.py.
"""

import importlib.util
import os
import socket
import subprocess
import sys
import time

import httpx

from skyserve_llm.errors import BackendError, NotReadyError
from skyserve_llm.service.backend import Progress
from skyserve_llm.service.local import locks
from skyserve_llm.service.local.folder import ServiceFolder
from skyserve_llm.service.local.lines import last_line
from skyserve_llm.service.local.state import ServiceRecord
from skyserve_llm.service.types import ReplicaState, ServiceState

_POLL_SECONDS = 0.1
_REQUEST_SECONDS = 3.0
"""A request that reaches the load balancer as it gets its first replica may hang: ask again."""


def require_load_balancer() -> None:
    """Fail now, not in a child's log, where SkyPilot is not installed."""
    # Only the name is looked up: importing sky takes 2 s, and the command line needs nothing
    # of it.
    if importlib.util.find_spec("sky") is None or importlib.util.find_spec("uvicorn") is None:
        raise BackendError(
            "local services run behind SkyServe's load balancer, and skypilot is not installed",
            hint="pip install 'llmbudget[sky]'",
        )


def start_supervisor(
    folder: ServiceFolder, *, listener: socket.socket, lock: int, endpoint: str
) -> None:
    """Start the supervisor in a session of its own, with the socket and the lock handed over."""
    command = [
        *(sys.executable, "-P", "-m", "skyserve_llm.service.local.supervisor"),
        *("--folder", str(folder.path.absolute()), "--endpoint", endpoint),
        *("--listener", str(listener.fileno()), "--lock", str(lock)),
    ]
    with folder.controller_log.open("ab") as log:
        os.fchmod(log.fileno(), 0o600)
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(listener.fileno(), lock),
            start_new_session=True,
            check=False,
        )
    if ended.returncode:
        raise died(folder)


def await_answer(
    folder: ServiceFolder, *, probe_path: str, progress: Progress, timeout_seconds: float
) -> None:
    """Return once a request through the endpoint was answered 200, telling what happens.

    Raises:
        NotReadyError: it was not within ``timeout_seconds``.
        BackendError: it never will be.
    """
    started = time.monotonic()
    told: dict[int, str] = {}
    while (seconds := time.monotonic() - started) < timeout_seconds:
        record = folder.read_state()
        if not locks.is_held(folder.supervisor_lock):
            raise died(folder)
        if record is not None:
            _tell(record, told, seconds, progress)
            _fail_if_hopeless(record)
            # Before the load balancer knows a replica it would answer 503, after two retries.
            if record.routable and _answers(record.endpoint + probe_path):
                seconds = time.monotonic() - started
                progress(f"{seconds:6.1f}s  {record.endpoint} answers")
                return
        time.sleep(_POLL_SECONDS)
    name = folder.name
    raise NotReadyError(
        f"local service {name!r} was not ready within {timeout_seconds:g} s; it keeps running",
        hint=f"`llmbudget status {name}` and `llmbudget logs {name} --replica ID` show why, "
        f"`llmbudget down {name}` ends it",
    )


def died(folder: ServiceFolder) -> BackendError:
    line = last_line(folder.controller_log) or "it left no word"
    return BackendError(f"the supervisor of {folder.name!r} died: {line}")


def _tell(record: ServiceRecord, told: dict[int, str], seconds: float, progress: Progress) -> None:
    for replica in record.replicas:
        status = replica.status
        if status.state is ReplicaState.PENDING and not status.reason:
            continue  # for a moment, before each start
        news = status.state + (f" ({status.reason})" if status.reason else "")
        if told.get(status.replica_id) != news:
            told[status.replica_id] = news
            progress(f"{seconds:6.1f}s  replica {status.replica_id} {news}")


def _fail_if_hopeless(record: ServiceRecord) -> None:
    if record.state is ServiceState.CONTROLLER_FAILED:
        why = record.reason
    elif record.state is ServiceState.FAILED:
        last = record.replicas[-1].status
        why = f"replica {last.replica_id} {last.reason}"
    else:
        return
    raise BackendError(
        f"local service {record.name!r} failed: {why}",
        hint=f"`llmbudget logs {record.name} --replica ID` shows more, "
        f"`llmbudget down {record.name}` clears it away",
    )


def _answers(url: str) -> bool:
    try:
        response = httpx.get(url, timeout=_REQUEST_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return False
    return response.status_code == httpx.codes.OK
