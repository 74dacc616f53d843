"""Starting, watching and ending one guarded process from the supervisor.

Knows ``guard.py`` and nothing of what the process is for.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_GUARD = Path(__file__).with_name("guard.py")
_KILL_SECONDS = 5.0

LOG_LIMIT_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Tether:
    """What ties every child to its supervisor.

    ``lifeline`` is the pipe whose end tells a guard that the supervisor died; ``held`` are
    descriptors that guard and child keep open for as long as they live (the process lock).
    """

    lifeline: int
    held: tuple[int, ...]

    @classmethod
    def new(cls, *held: int) -> Self:
        # The write end is deliberately leaked: it closes when this process ends, and only then.
        lifeline, _ = os.pipe()
        return cls(lifeline, held)


class GuardedProcess:
    """One child under its guard. ``pid`` is the child's own, and its process group's."""

    def __init__(self, guard: asyncio.subprocess.Process, pid: int) -> None:
        self._guard = guard
        self._orphan_ended = False
        self.pid = pid

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        tether: Tether,
        inherit: tuple[int, ...] = (),
    ) -> Self:
        """Start ``command`` under a guard; ``inherit`` are descriptors for the child alone.

        Raises:
            OSError: the guard could not be started.
        """
        report, report_write = os.pipe()
        try:
            with log.open("ab") as guard_errors:
                guard = await asyncio.create_subprocess_exec(
                    # -I -S: no site-packages, no environment. It starts in 10 ms, not 60.
                    *(sys.executable, "-I", "-S", str(_GUARD)),
                    *(str(tether.lifeline), str(report_write), str(log), str(LOG_LIMIT_BYTES)),
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=guard_errors,
                    env=env,
                    pass_fds=(tether.lifeline, report_write, *tether.held, *inherit),
                    start_new_session=True,
                )
            os.close(report_write)
            report_write = -1
            line = await _read_when_ready(report)
        finally:
            os.close(report)
            if report_write >= 0:
                os.close(report_write)
        if not line:
            await guard.wait()
            raise OSError(f"the guard of {command[0]} did not start")
        return cls(guard, int(line))

    async def wait(self) -> int:
        """The child's exit status, 128 + n for signal n."""
        code = await self._guard.wait()
        if code < 0 and not self._orphan_ended:
            # Somebody killed the guard itself: the child is an orphan now, and ours to end.
            # Once, and at once: later its pid may be another's.
            self._orphan_ended = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        return code if code >= 0 else 128 - code

    async def stop(self, grace_seconds: float) -> int:
        """SIGTERM to the whole group, SIGKILL after ``grace_seconds``. Returns once it is gone."""
        for number, seconds in (
            (signal.SIGTERM, grace_seconds),
            (signal.SIGUSR1, _KILL_SECONDS),  # the guard's word for "kill the group now"
            (signal.SIGKILL, _KILL_SECONDS),  # of a guard that hangs; wait() then ends the group
        ):
            if self._guard.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._guard.send_signal(number)
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(self.wait(), seconds)
        return await self.wait()


async def _read_when_ready(descriptor: int) -> bytes:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
    return os.read(descriptor, 32)


def how_it_ended(code: int, last_word: str | None) -> str:
    """``137`` -> ``'was killed by SIGKILL'``, ``1`` -> ``'exited with status 1: <last word>'``."""
    ending = f"exited with status {code}"
    if code > 128:
        with contextlib.suppress(ValueError):
            ending = f"was killed by {signal.Signals(code - 128).name}"
    # Who is killed from outside did not see it coming: its last word tells nothing.
    silent = code - 128 in (signal.SIGKILL, signal.SIGTERM) or not last_word
    return ending if silent else f"{ending}: {last_word}"
