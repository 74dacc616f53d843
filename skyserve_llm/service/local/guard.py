"""Stands between the supervisor and one child process, so that the child never outlives it.

A plain script, run as ``python -I -S guard.py LIFELINE REPORT LOG LIMIT COMMAND…``: standard
library only, because it must be up in 10 ms and there is one beside every child. It

* starts the command in a session and process group of its own and writes its pid to the
  ``REPORT`` descriptor;
* holds the read end of the ``LIFELINE`` pipe, whose only write end is the supervisor's. The
  kernel closes that end whatever the supervisor died of, SIGKILL included; the guard then
  ends the child's whole group;
* copies the child's output to ``LOG`` and keeps that file, and the one before it, within
  ``LIMIT`` bytes each;
* passes SIGTERM on to the group, answers SIGUSR1 by killing it, and ends with the child's exit
  status (128 + signal, as a shell tells it).

Knows nothing of replicas, load balancers or the rest of this package.
"""

import contextlib
import os
import select
import signal
import sys
import time
from typing import NoReturn

TERM_GRACE_SECONDS = 2.0
"""From SIGTERM to SIGKILL once the supervisor is gone: nobody is left to wait for a drain."""

DRAIN_SECONDS = 0.5
"""A process that left the child's group may keep its output open for ever: do not wait for it."""


class _Log:
    """The child's output, in two files of bounded size."""

    def __init__(self, path: str, limit: int) -> None:
        self._path, self._limit = path, limit
        self._open()

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size

    def write(self, data: bytes) -> None:
        # A full disk, or a folder that somebody removed, must not end the service.
        with contextlib.suppress(OSError):
            if self._size >= self._limit:
                os.close(self._file)
                os.replace(self._path, self._path + ".1")  # noqa: PTH105 (pathlib costs 8 ms here)
                self._open()
            os.write(self._file, data)
            self._size += len(data)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _exec(command: list[str], output: int) -> NoReturn:
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and exec keeps that
        os.execvp(command[0], command)  # noqa: S606 (a fixed argument list, no shell)
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error.strerror}\n".encode())
    os._exit(127)


def _copy_rest(output: int, log: _Log) -> None:
    until = time.monotonic() + DRAIN_SECONDS
    while select.select([output], [], [], max(0.0, until - time.monotonic()))[0]:
        data = os.read(output, 65536)
        if not data:
            return
        log.write(data)


def main(arguments: list[str]) -> int:
    lifeline, report = int(arguments[0]), int(arguments[1])
    log, command = _Log(arguments[2], int(arguments[3])), arguments[4:]
    # Every other descriptor that the supervisor passed on goes through to the child: the
    # service's process lock and, for the load balancer, the listening socket.
    os.set_inheritable(lifeline, False)
    os.set_inheritable(report, False)

    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    for expected in (signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(expected, lambda *_: None)
    signal.set_wakeup_fd(wake)  # each signal arrives as one byte, its number, on ``woken``

    output, child_output = os.pipe()
    child = os.fork()
    if child == 0:
        _exec(command, child_output)
    os.close(child_output)
    with contextlib.suppress(OSError):
        os.write(report, b"%d\n" % child)
    os.close(report)

    waiting_on = [lifeline, woken, output]
    kill_at: float | None = None
    while True:
        timeout = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        readable = select.select(waiting_on, [], [], timeout)[0]
        if kill_at is not None and time.monotonic() >= kill_at:
            _signal_group(child, signal.SIGKILL)
            kill_at = None
        if output in readable:
            data = os.read(output, 65536)
            if data:
                log.write(data)
            else:
                waiting_on.remove(output)
        if lifeline in readable:  # nothing is ever written to it: this is its end
            waiting_on.remove(lifeline)
            _signal_group(child, signal.SIGTERM)
            kill_at = time.monotonic() + TERM_GRACE_SECONDS
        for number in os.read(woken, 512) if woken in readable else b"":
            if number == signal.SIGTERM:
                _signal_group(child, signal.SIGTERM)
            elif number == signal.SIGUSR1:
                _signal_group(child, signal.SIGKILL)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _signal_group(child, signal.SIGKILL)  # what the child started and left behind
            _copy_rest(output, log)
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
