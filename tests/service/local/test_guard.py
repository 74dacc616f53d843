"""The guard, alone: no child outlives whoever holds its lifeline."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyserve_llm.service.local import guard
from tests.service.local.helpers import running, wait_for


class Guarded:
    def __init__(self, log: Path, program: str, limit: int = 1 << 20) -> None:
        read, self.lifeline = os.pipe()
        report, report_write = os.pipe()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", guard.__file__, str(read), str(report_write)),
                *(str(log), str(limit), sys.executable, "-S", "-u", "-c", program),
            ],
            pass_fds=(read, report_write),
        )
        os.close(read)
        os.close(report_write)
        self.child = int(os.read(report, 32))
        os.close(report)

    def let_go(self) -> None:
        os.close(self.lifeline)
        self.lifeline = -1

    def end(self) -> None:
        if self.lifeline >= 0:
            self.let_go()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if running(self.child):
            os.kill(self.child, signal.SIGKILL)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[object]:
    started = []

    def start(program: str, **options: int) -> Guarded:
        started.append(Guarded(tmp_path / "log", program, **options))
        return started[-1]

    yield start
    for one in started:
        one.end()


WAITING = "import time; print('up'); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITING}"


def test_ends_as_the_child_ends(guarded, tmp_path):
    assert guarded("print('last word'); raise SystemExit(7)").process.wait(10) == 7
    assert (tmp_path / "log").read_text() == "last word\n"


def test_a_killed_child_is_told_as_a_shell_tells_it(guarded):
    one = guarded(WAITING)
    os.kill(one.child, signal.SIGKILL)
    assert one.process.wait(10) == 128 + signal.SIGKILL


def test_a_command_that_cannot_be_started(tmp_path, guarded):
    report, report_write = os.pipe()
    done = subprocess.run(
        [
            *(sys.executable, "-I", "-S", guard.__file__, "0", str(report_write)),
            *(str(tmp_path / "log"), "1000", "no-such-program"),
        ],
        stdin=subprocess.PIPE,
        pass_fds=[report_write],
        check=False,
    )
    os.close(report)
    os.close(report_write)
    assert done.returncode == 127
    assert "cannot start no-such-program: No such file" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("program", [WAITING, STUBBORN])
def test_the_end_of_the_lifeline_ends_the_child(guarded, tmp_path, program):
    one = guarded(program)
    wait_for((tmp_path / "log").read_text)
    one.let_go()
    wait_for(lambda: not running(one.child), guard.TERM_GRACE_SECONDS + 1)
    assert one.process.wait(2) == 128 + (signal.SIGKILL if program is STUBBORN else signal.SIGTERM)


def test_the_end_of_the_lifeline_ends_a_frozen_child(guarded, tmp_path):
    one = guarded(WAITING)
    wait_for((tmp_path / "log").read_text)
    os.kill(one.child, signal.SIGSTOP)
    one.let_go()
    wait_for(lambda: not running(one.child), guard.TERM_GRACE_SECONDS + 1)


def test_the_whole_group_goes_with_the_child(guarded, tmp_path):
    one = guarded(
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-S', '-c', "
        "'import time; time.sleep(600)']); print(p.pid, flush=True); raise SystemExit(1)"
    )
    assert one.process.wait(10) == 1
    grandchild = int((tmp_path / "log").read_text())
    wait_for(lambda: not running(grandchild))


def test_sigterm_is_passed_on_and_sigusr1_kills(guarded, tmp_path):
    one = guarded(STUBBORN)
    wait_for((tmp_path / "log").read_text)
    one.process.terminate()
    one.process.send_signal(signal.SIGUSR1)
    assert one.process.wait(5) == 128 + signal.SIGKILL
    assert not running(one.child)


def test_the_log_stays_within_two_files_of_its_limit(guarded, tmp_path):
    one = guarded("for n in range(5000): print('line', n)", limit=8192)
    assert one.process.wait(10) == 0
    now, before = (tmp_path / "log").read_bytes(), (tmp_path / "log.1").read_bytes()
    assert now.endswith(b"line 4999\n")
    assert max(len(now), len(before)) < 8192 + 65536  # one read over
    assert (before + now).count(b"\n") > 1
