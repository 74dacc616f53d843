"""The main job from end to end, as `make demo` shows it: no cloud, no GPU, no credentials.

Plans phixtral over the shipped prices, renders its YAML, brings two simulated replicas up behind
SkyServe's own load balancer, talks to them, kills one under load, reads the bill and takes all
down. Exits 0 only if every step held. Everything lives in a temporary folder.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx

from skyserve_llm.service.client import REPLICA_HEADER
from skyserve_llm.service.local.backend import LocalBackend
from skyserve_llm.service.types import ReplicaState, ServiceStatus

MODEL = "mlabonne/phixtral-4x2_8"
SERVICE = "phixtral"
PROMPTS = ("Name three moons.", "Why is the sky blue?", "What does a spot instance cost?")
REQUESTS_PER_SECOND = 8
REPLACED_WITHIN_SECONDS = 30.0
LLMBUDGET = Path(sys.executable).with_name("llmbudget")


class StepError(Exception):
    """A step of the demo that did not hold."""


@dataclass
class Tally:
    """What clients saw while a replica died."""

    answered: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0


def say(line: str = "") -> None:
    print(line, flush=True)


def title(line: str) -> None:
    say(f"\n\033[1m▶ {line}\033[0m" if sys.stdout.isatty() else f"\n▶ {line}")


def llmbudget(*args: str, capture: bool = False) -> str:
    say(f"$ llmbudget {' '.join(args)}")
    done = subprocess.run(
        [LLMBUDGET, *args], check=False, text=True, stdout=subprocess.PIPE if capture else None
    )
    if done.returncode:
        raise StepError(f"llmbudget {args[0]} left with {done.returncode}")
    return done.stdout or ""


def wait_for(what: str, seconds: float, found: Callable[[], bool]) -> float:
    """Seconds until ``found``; a step that takes longer than ``seconds`` did not hold."""
    start = time.monotonic()
    while not found():
        if time.monotonic() - start > seconds:
            raise StepError(f"{what} took longer than {seconds:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - start


def run_demo(home: Path) -> None:
    os.environ["LLMBUDGET_HOME"] = str(home)
    backend = LocalBackend(home / "services")
    try:
        title("What must I rent? The plan over real prices")
        llmbudget("plan", MODEL, "--limit", "6")
        title("The same plan as a `sky serve` YAML")
        llmbudget("render", "--name", SERVICE, "-f", str(home / "service.yaml"))
        title("Two replicas on this machine, behind SkyServe's own load balancer")
        llmbudget("deploy", "--local", "--replicas", "2", "--name", SERVICE)
        status = backend.status(SERVICE)[0]
        title("Three prompts through the load balancer")
        converse(status)
        title("One replica is killed while requests run")
        kill_one(backend, status)
        title("What it cost")
        llmbudget("cost")
    finally:
        title("Everything down")
        llmbudget("down", "--all")
    if backend.status():
        raise StepError("a service is left")


def converse(status: ServiceStatus) -> None:
    """Strict alternation: no two answers in a row from one replica."""
    answered_by = []
    for prompt in PROMPTS:
        say(f'$ llmbudget chat "{prompt}"')
        done = subprocess.run(
            [LLMBUDGET, "chat", prompt], check=False, text=True, stderr=subprocess.PIPE
        )
        say(done.stderr.strip())
        if done.returncode:
            raise StepError(f"chat left with {done.returncode}")
        answered_by.append(done.stderr.rsplit("replica ", 1)[-1].strip(" )\n"))
    if any(one == other for one, other in pairwise(answered_by)):
        raise StepError(f"replicas did not alternate: {answered_by}")
    say(f"round robin: replicas {', '.join(answered_by)}")


def kill_one(backend: LocalBackend, status: ServiceStatus) -> None:
    victim = next(r for r in status.replicas if r.state is ReplicaState.READY)
    pid = backend.replica_pid(SERVICE, victim.replica_id)
    assert pid is not None
    assert status.endpoint is not None
    tally, seconds = asyncio.run(_under_load(backend, status.endpoint, victim.replica_id, pid))
    total = sum(tally.answered.values())
    say(f"killed replica {victim.replica_id} (pid {pid}) with SIGKILL")
    say(f"replaced and READY after {seconds:.1f} s")
    say(
        f"{total + len(tally.failed)} requests: {total} answered, {len(tally.failed)} failed, "
        f"slowest {tally.slowest_seconds:.1f} s; by replica: {dict(sorted(tally.answered.items()))}"
    )
    for failure in tally.failed[:3]:
        say(f"  failed: {failure}")
    if tally.failed:
        raise StepError("requests failed while a replica was replaced")


async def _under_load(
    backend: LocalBackend, endpoint: str, victim: int, pid: int
) -> tuple[Tally, float]:
    """Requests at a steady rate from before the kill until after the replacement."""
    tally, stop = Tally(), asyncio.Event()
    async with (
        httpx.AsyncClient(base_url=endpoint, timeout=60) as client,
        asyncio.TaskGroup() as group,
    ):
        load = group.create_task(_load(client, tally, stop))
        await _until(lambda: sum(tally.answered.values()) >= REQUESTS_PER_SECOND, 20)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        await asyncio.to_thread(
            wait_for, "the replacement", REPLACED_WITHIN_SECONDS,
            lambda: _replaced(backend.status(SERVICE)[0], victim),
        )  # fmt: skip
        seconds = time.monotonic() - killed
        stop.set()
        await load
    return tally, seconds


def _replaced(status: ServiceStatus, victim: int) -> bool:
    ready = {r.replica_id for r in status.replicas if r.state is ReplicaState.READY}
    return victim not in ready and len(ready) == status.target_replicas


async def _until(found: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not found():
            await asyncio.sleep(0.05)


async def _load(client: httpx.AsyncClient, tally: Tally, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        number = 0
        while not stop.is_set():
            group.create_task(_request(client, tally, number))
            number += 1
            await asyncio.sleep(1 / REQUESTS_PER_SECOND)


async def _request(client: httpx.AsyncClient, tally: Tally, number: int) -> None:
    start = time.monotonic()
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"count to {number}"}],
        "max_tokens": 8,
    }
    try:
        response = await client.post("/v1/chat/completions", json=body)
    except httpx.HTTPError as error:
        tally.failed.append(f"request {number}: {type(error).__name__}")
        return
    if response.is_success:
        tally.answered[response.headers.get(REPLICA_HEADER, "unknown")] += 1
    else:
        tally.failed.append(f"request {number}: {response.status_code} {response.text[:80]}")
    tally.slowest_seconds = max(tally.slowest_seconds, time.monotonic() - start)


def main() -> int:
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="llmbudget-demo-") as folder:
        try:
            run_demo(Path(folder))
        except StepError as error:
            say(f"\ndid not hold: {error}")
            return 1
    say(f"\nevery step held, in {time.monotonic() - start:.0f} s; nothing is left running")
    return 0


if __name__ == "__main__":
    sys.exit(main())
