"""All faults, one after the other, against one replica of their own."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.replica.faults import bypass, clients, content, framing, openapi, sizes
from tests.replica.faults.fault import Fault, Finding, commit
from tests.replica.faults.target import KEY, Target

_ROOT = Path(__file__).parents[3]
# Few slots, so that one that is not given free is missed at once; short limits, so that the
# battery is short; 10 s for a whole answer, which nobody waits for.
SLOTS = 4
_FLAGS = (
    "--ttft-ms", "0", "--tpot-ms", "2", "--max-num-seqs", str(SLOTS), "--head-timeout-s", "1",
    "--body-timeout-s", "1", "--write-timeout-s", "1", "--max-body-bytes", str(4 << 20),
)  # fmt: skip
_REPLICA = ("org/model", "--engine", "simulated", "--port", "0", "--preemption-watch", "off")


def all_faults(scale: int) -> list[Fault]:
    """The whole battery; ``scale`` 1 is the size for a test suite."""
    kinds = (bypass, framing, content, sizes, openapi)
    faults = [fault for kind in kinds for fault in kind.faults(scale)]
    return [*faults, *clients.faults(scale, slots=SLOTS)]


def run(faults: Iterable[Fault]) -> Iterator[Finding]:
    """What each fault in turn does to one replica, started for them."""
    with replica() as target:
        for fault in faults:
            yield asyncio.run(commit(fault, target))


@contextlib.contextmanager
def replica(flags: Sequence[str] = _FLAGS) -> Iterator[Target]:
    """A replica with a key, as a process of its own, until the context ends."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LLMBUDGET_")}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "skyserve_llm.replica", *_REPLICA, *flags],
            env={**inherited, "LLMBUDGET_API_KEY": KEY},
            cwd=_ROOT,
            stdout=log,
            stderr=log,
        )
        try:
            target = Target(port=_port(process, log), pid=process.pid)
            while not asyncio.run(target.is_healthy()):
                time.sleep(0.05)
            yield target
        finally:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[bytes], log: "tempfile._TemporaryFileWrapper[str]") -> int:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        log.seek(0)
        for line in log:
            if line.endswith("\n") and json.loads(line)["event"] == "listening":
                return int(json.loads(line)["port"])
        time.sleep(0.05)
    log.seek(0)
    raise RuntimeError(f"the replica did not start:\n{log.read()}")
