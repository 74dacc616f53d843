"""What does the gate cost? The same server with it and without it, in alternating runs.

Without arguments the server is ours with the simulated engine: as fast as it can (``tpot_ms``
0, where every microsecond shows), and at the pace of a real one. ``--vllm PYTHON MODEL`` lays
plain ``vllm serve`` beside ``--engine vllm``, with PYTHON of an environment that has vLLM;
further words are flags of vLLM for both.

Both servers run all the time and are asked in turn; a ratio is the median of the ratios of
neighbouring runs, so that a machine's mood cancels out. Times are a client's.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
KEY = "sk-benchmark"
CONCURRENCY = 32
# The issue of the gate: medians within 3 %, throughput not below 97 %.
LIMITS = {"ttft_ms": 1.03, "tbt_ms": 1.03, "tokens_per_s": 0.97}
PLAIN = """
import sys, uvicorn
from skyserve_llm.replica import engines, options
from skyserve_llm.replica.app import ServedModel, build_app
arguments = options.parse(sys.argv[1:])
engine = engines.create(arguments)
app = build_app([ServedModel(name="m", root="m", engine=engine)], on_failure=print)
uvicorn.run(app, port=arguments.port, log_level="error", access_log=False, http="httptools")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run against one server: medians of its streams, and tokens of all in a second."""

    ttft_ms: float
    tbt_ms: float
    tokens_per_s: float


@dataclass(frozen=True, slots=True)
class Stream:
    """When each event of one answer came, counted from its request."""

    events: list[float]

    @property
    def gaps(self) -> list[float]:
        return [after - before for before, after in zip(self.events, self.events[1:], strict=False)]


async def stream(port: int, model: str, tokens: int) -> Stream:
    """Ask for one answer over a connection of its own."""
    body = {"model": model, "prompt": "It costs", "max_tokens": tokens, "min_tokens": tokens}
    raw = json.dumps({**body, "ignore_eos": True, "temperature": 0, "stream": True}).encode()
    head = (
        "POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {KEY}\r\nconnection: close\r\ncontent-length: {len(raw)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began, events = time.perf_counter(), []
    writer.write(head.encode() + raw)
    while chunk := await reader.read(1 << 16):
        events += [time.perf_counter() - began] * chunk.count(b"data: {")
    writer.close()
    if len(events) < tokens:
        raise RuntimeError(f"{len(events)} of {tokens} tokens came")
    return Stream(events)


async def measure(port: int, model: str, tokens: int) -> Run:
    """Some streams one after the other, then many at a time."""
    alone = [await stream(port, model, tokens) for _ in range(8)]
    began = time.perf_counter()
    crowd = await asyncio.gather(*(stream(port, model, tokens) for _ in range(CONCURRENCY)))
    seconds = time.perf_counter() - began
    return Run(
        ttft_ms=median(each.events[0] for each in alone) * 1e3,
        tbt_ms=median(gap for each in alone for gap in each.gaps) * 1e3,
        tokens_per_s=sum(len(each.events) for each in crowd) / seconds,
    )


@contextlib.contextmanager
def server(command: list[str], port: int, ready: str) -> Iterator[None]:
    """``command`` until the context ends, from when ``ready`` is answered 200."""
    environment = os.environ | {
        "LLMBUDGET_API_KEY": KEY,
        "LLMBUDGET_PREEMPTION_WATCH": "off",
        "PYTHONPATH": str(ROOT),
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 300
            while not answers(f"http://127.0.0.1:{port}{ready}"):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{shlex.join(command)}\n{log.read().decode()[-3000:]}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()
            process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def compare(plain: list[str], gated: list[str], model: str, tokens: int, runs: int) -> list[Run]:
    """The runs in turn: plain, gated, gated, plain, plain, gated, …"""
    found = []
    ports = [free_port(), free_port()]
    with (
        server([*plain, "--port", str(ports[0])], ports[0], "/v1/models"),
        server([*gated, "--port", str(ports[1])], ports[1], "/v1/health"),
    ):
        for port in ports:  # not counted: compilation, caches
            asyncio.run(measure(port, model, tokens))
        for number in range(runs):
            pair = {}
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                pair[side] = asyncio.run(measure(ports[side], model, tokens))
            found += [pair[0], pair[1]]
    return found


def rows(name: str, found: list[Run]) -> list[dict[str, object]]:
    table = []
    for quantity, limit in LIMITS.items():
        plain, gated = ([getattr(run, quantity) for run in found[side::2]] for side in (0, 1))
        ratio = median(ours / theirs for theirs, ours in zip(plain, gated, strict=True))
        table.append(
            {
                "server": name,
                "quantity": quantity,
                "plain": round(median(plain), 3),
                "gated": round(median(gated), 3),
                "ratio": round(ratio, 3),
                "limit": limit,
                "holds": ratio >= limit if limit < 1 else ratio <= limit,
            }
        )
    return table


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def simulated(runs: int) -> list[dict[str, object]]:
    table = []
    for ttft_ms, tpot_ms, tokens in ((0, 0, 256), (50, 20, 64)):
        flags = ["m", "--engine", "simulated", "--ttft-ms", str(ttft_ms), "--tpot-ms", str(tpot_ms)]
        found = compare(
            [sys.executable, "-c", PLAIN, *flags],
            [sys.executable, "-m", "skyserve_llm.replica", *flags],
            "m",
            tokens,
            runs,
        )
        table += rows(f"simulated {ttft_ms}/{tpot_ms} ms", found)
    return table


def vllm(python: str, model: str, flags: list[str], runs: int) -> list[dict[str, object]]:
    main = "import sys; from vllm.entrypoints.cli.main import main; sys.exit(main())"
    plain = [python, "-c", main, "serve", model, "--host", "127.0.0.1", *flags]
    plain += ["--api-key", KEY, "--disable-uvicorn-access-log", "--served-model-name", "m"]
    gated = [python, "-m", "skyserve_llm.replica", model, "--engine", "vllm", *flags]
    found = compare(plain, [*gated, "--served-model-name", "m"], "m", 64, runs)
    return rows("vllm", found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="pairs of runs")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--vllm", nargs=2, metavar=("PYTHON", "MODEL"))
    options, flags = parser.parse_known_args()
    table = vllm(*options.vllm, flags, options.runs) if options.vllm else simulated(options.runs)
    print(f"{'server':<22}{'quantity':<14}{'plain':>10}{'gated':>10}{'ratio':>8}{'limit':>7}")
    for row in table:
        print(
            f"{row['server']:<22}{row['quantity']:<14}{row['plain']:>10}{row['gated']:>10}"
            f"{row['ratio']:>8}{row['limit']:>7}  {'holds' if row['holds'] else 'FAILS'}"
        )
    if options.json:
        options.json.write_text(json.dumps(table, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
