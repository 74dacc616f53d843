"""Locks as the truth about who lives.

A pid in a file may be another process by now; a lock cannot lie, because the kernel gives it
up when the last process that holds it ends, however it ends. Two files a service:

    supervisor.lock   held from the first moment of ``deploy`` to the supervisor's end
    processes.lock    held by the supervisor and inherited by every guard, replica and load
                      balancer: free only when nothing of the service runs any more

Knows nothing of services.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_BLIP_SECONDS = 0.5
"""``is_held`` asks by taking a shared lock for an instant; a claim waits that out."""


def claim(path: Path) -> int | None:
    """Take the lock on ``path``. Returns a descriptor, or None if somebody else holds it."""
    until = time.monotonic() + _BLIP_SECONDS
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _lock(descriptor, fcntl.LOCK_EX):
            # A service that went down between open and lock took its file with it: a lock on
            # a file that no longer has a name would keep nobody out.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
        os.close(descriptor)
        if time.monotonic() > until:
            return None
        time.sleep(0.02)


def is_held(path: Path) -> bool:
    """Whether a living process holds ``path``."""
    with asking(path) as held:
        return held()


def wait_until_free(path: Path, seconds: float) -> bool:
    """Wait until nobody holds ``path``. False if somebody still does."""
    with asking(path) as held:
        return wait_while(held, seconds)


def wait_while(held: Callable[[], bool], seconds: float) -> bool:
    """Wait until ``held`` is no longer true. False if it still is."""
    until = time.monotonic() + seconds
    while held():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@contextlib.contextmanager
def asking(path: Path) -> Iterator[Callable[[], bool]]:
    """A question that can be asked again: is it held? True answers survive the file's removal."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield lambda: False
        return

    def held() -> bool:
        if not _lock(descriptor, fcntl.LOCK_SH):
            return True
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False

    try:
        yield held
    finally:
        os.close(descriptor)


def holders(path: Path) -> set[int]:
    """The pids of the processes that hold ``path``, where the system can tell (Linux).

    Unlike pids that were written down, these are certain to be the service's own.
    """
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # not ours to read, or gone meanwhile
            if os.path.samestat(link.stat(), path.stat()) and _may_write(link):
                found.add(int(link.parts[2]))
    return found


def _may_write(link: Path) -> bool:
    """Holders open the file to write, who merely asks (``is_held``) to read."""
    information = link.parents[1].joinpath("fdinfo", link.name).read_text()
    flags = information.partition("flags:")[2].split()[0]
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
