"""SkyServe's own load balancer before replicas, and clients that never stop asking.

The controller is ours: it tells the load balancer which replicas it may use, as SkyServe's does.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

SYNC_S = 20
"""How often the load balancer asks its controller for the replicas."""


@contextlib.contextmanager
def load_balancer(replicas: Callable[[], list[str]], log_file: Path) -> Iterator[str]:
    """The URL of a load balancer over the replicas whose URLs ``replicas`` names."""
    with (
        _controller(replicas) as controller,
        socket.create_server(("127.0.0.1", 0)) as listener,
        log_file.open("wb") as log,
    ):
        command = [sys.executable, "-m", "skyserve_llm.service.skypilot.load_balancer"]
        command += ["--listener", str(listener.fileno()), "--stream-timeout-seconds", "120"]
        process = subprocess.Popen(
            [*command, "--load-balancing-policy", "round_robin"],
            env={**os.environ, "LLMBUDGET_CONTROLLER_URL": controller},
            pass_fds=[listener.fileno()],
            stdout=log,
            stderr=log,
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _controller(replicas: Callable[[], list[str]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self._answer({"replica_info": {url: {"gpu_type": "CPU"} for url in replicas()}})

        def _answer(self, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Asked:
    """One request: which replica answered, and whether its answer is whole."""

    began: float
    status: int | None = None
    replica: str | None = None
    ended: float | None = None
    whole: bool = False


class Clients:
    """``count`` clients that stream answers one after the other until they are stopped."""

    def __init__(self, url: str, key: str, body: dict[str, Any], count: int) -> None:
        self._url, self._key, self._body = url, key, body
        self._stop = threading.Event()
        self.asked: list[Asked] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(count)))

    def __enter__(self) -> "Clients":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def whole(self) -> list[Asked]:
        return [each for each in self.asked if each.whole]

    @property
    def failed(self) -> list[Asked]:
        return [each for each in self.asked if each.ended is not None and not each.whole]

    async def _run(self, count: int) -> None:
        headers = {"authorization": f"Bearer {self._key}"}
        async with httpx.AsyncClient(
            base_url=self._url, headers=headers, timeout=120, trust_env=False, verify=False
        ) as http:
            await asyncio.gather(*(self._client(http) for _ in range(count)))

    async def _client(self, http: httpx.AsyncClient) -> None:
        while not self._stop.is_set():
            asked = Asked(time.monotonic())
            self.asked.append(asked)
            with contextlib.suppress(httpx.TransportError):
                await self._ask(http, asked)
            asked.ended = time.monotonic()

    async def _ask(self, http: httpx.AsyncClient, asked: Asked) -> None:
        async with http.stream("POST", "/v1/completions", json=self._body) as answer:
            asked.status = answer.status_code
            asked.replica = answer.headers.get("x-llmbudget-replica")
            async for line in answer.aiter_lines():
                asked.whole = line == "data: [DONE]" or asked.whole
