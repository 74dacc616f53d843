"""Ending a service without its supervisor's help: it died, or it hangs.

Normally the guards have ended everything within 2 s of the supervisor's death; this is for
whatever outlived even them, and for the folder.
"""

import contextlib
import os
import signal

from skyserve_llm.errors import BackendError
from skyserve_llm.service.backend import Progress
from skyserve_llm.service.local import locks
from skyserve_llm.service.local.folder import ServiceFolder

_GUARDS_SECONDS = 5.0
_KILL_SECONDS = 5.0


def clear_away(folder: ServiceFolder, progress: Progress) -> None:
    """End what still runs of a service and remove its folder.

    Raises:
        BackendError: something of it cannot be ended.
    """
    lock = locks.claim(folder.supervisor_lock)
    if lock is None:
        pid = folder.supervisor_pid
        progress(f"{folder.name}: the supervisor (pid {pid}) does not answer, killing it")
        if pid is not None:
            _kill(pid)
        locks.wait_until_free(folder.supervisor_lock, _KILL_SECONDS)
        lock = locks.claim(folder.supervisor_lock)
    if lock is None:
        raise BackendError(f"the supervisor of {folder.name!r} cannot be ended")
    try:
        if not locks.wait_until_free(folder.processes_lock, _GUARDS_SECONDS):
            for pid in locks.holders(folder.processes_lock):
                progress(f"{folder.name}: killing what is left of it (pid {pid})")
                _kill(pid)
            if not locks.wait_until_free(folder.processes_lock, _KILL_SECONDS):
                left = ", ".join(map(str, sorted(locks.holders(folder.processes_lock))))
                raise BackendError(
                    f"processes of {folder.name!r} cannot be ended" + (f": {left}" if left else "")
                )
        folder.remove()
    finally:
        os.close(lock)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
