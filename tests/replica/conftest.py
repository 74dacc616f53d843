"""A real replica in a process of its own, and a way to wait for it."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

MODEL = "org/model"
SIMULATED = (MODEL, "--engine", "simulated")
ROOT = Path(__file__).parents[2]
_OWN_VARIABLES = ("LLMBUDGET_", "SKYPILOT_")
INSTANT = ("--ttft-ms", "0", "--tpot-ms", "0")


def _wait_until(condition: Callable[[], object], *, within_s: float = 15.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"did not come true within {within_s} s"
        time.sleep(0.01)


@dataclass
class Replica:
    process: subprocess.Popen[bytes]
    log_file: Path

    def events(self) -> list[dict[str, object]]:
        lines = self.log_file.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]

    def events_of(self, kind: str) -> list[dict[str, object]]:
        return [event for event in self.events() if event["event"] == kind]

    @property
    def address_known(self) -> bool:
        return bool(self._first_words)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._first_words[0]['port']}"

    @property
    def _first_words(self) -> list[dict[str, object]]:
        # vLLM listens only once its engine is there.
        return self.events_of("listening") or self.events_of("starting")

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        # verify=False: plain HTTP, and loading certificates for each client takes 40 ms
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=30, trust_env=False, verify=False
        )

    def health(self) -> httpx.Response:
        url = f"{self.url}/v1/health"
        return httpx.get(url, timeout=10, trust_env=False, verify=False)

    def is_ready(self) -> bool:
        """Whether health says 200; an error once the process has ended."""
        assert self.process.poll() is None, self.log_file.read_text()[-4000:]
        with contextlib.suppress(httpx.TransportError):
            return self.health().status_code == 200
        return False

    def wait_until(self, condition: Callable[[], object], *, within_s: float = 15.0) -> None:
        _wait_until(condition, within_s=within_s)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """As a machine that is switched off: the replica and all its processes, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def exit_code(self) -> int:
        return self.process.wait(timeout=15)


def _command(*flags: str, python: str | Path = sys.executable) -> list[str]:
    return [str(python), "-m", "skyserve_llm.replica", *flags]


def _environment(extra: dict[str, str] | None) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(_OWN_VARIABLES)}
    # Where the tests run on a cloud's machine, its own notices are none of their business.
    return {**inherited, "LLMBUDGET_PREEMPTION_WATCH": "off", **(extra or {})}


@contextlib.contextmanager
def _running(
    log_file: Path,
    *flags: str,
    served: Sequence[str] = SIMULATED,
    python: str | Path = sys.executable,
    env: dict[str, str] | None = None,
    wait_ready: bool = True,
    within_s: float = 15.0,
) -> Iterator[Replica]:
    command = _command(*served, "--port", "0", *flags, python=python)
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env=_environment(env),
            cwd=ROOT,
            start_new_session=True,  # an engine's own processes end with it
        )
    replica = Replica(process, log_file)
    try:
        _wait_until(lambda: replica.address_known or process.poll() is not None, within_s=within_s)
        assert process.poll() is None, log_file.read_text()
        if wait_ready:
            _wait_until(replica.is_ready, within_s=within_s)
        yield replica
    finally:
        replica.kill()


Start = Callable[..., Replica]


@contextlib.contextmanager
def _starter(folder: Path) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:
        numbers = itertools.count()

        def begin(*flags: str, **options: Any) -> Replica:
            log_file = folder / f"replica-{next(numbers)}.log"
            return stack.enter_context(_running(log_file, *flags, **options))

        yield begin


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start replicas that end with the test: ``start(*flags, served=…, env=…, wait_ready=…)``."""
    with _starter(tmp_path) as begin:
        yield begin


@pytest.fixture(scope="module")
def start_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """The same for a replica that the tests of a module share."""
    with _starter(tmp_path_factory.mktemp("shared")) as begin:
        yield begin


@pytest.fixture
def run() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command line that ends by itself: ``run(*arguments, python=…, env=…, cwd=…)``."""

    def to_the_end(
        *arguments: str,
        python: str | Path = sys.executable,
        env: dict[str, str] | None = None,
        cwd: Path = ROOT,
        timeout: float = 30,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            _command(*arguments, python=python),
            env=_environment(env),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return to_the_end


@pytest.fixture(scope="session")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """One open replica that answers at once, shared by tests that leave no mark on it."""
    log_file = tmp_path_factory.mktemp("replica") / "replica.log"
    with _running(log_file, *INSTANT, "--max-model-len", "2000") as shared:
        yield shared


@pytest.fixture
def http(replica: Replica) -> Iterator[httpx.Client]:
    with replica.client() as client:
        yield client
