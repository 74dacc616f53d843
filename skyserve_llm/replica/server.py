"""The socket, the process and its end: uvicorn around any ASGI app. Knows no routes.

After the first SIGTERM or SIGINT the port stays open, so that health can say 503 and no
request is refused while a load balancer still lists this replica. The process ends when
nothing is running any more, or when its time to drain is over; at a second signal, at once.
"""

import asyncio
import errno
import signal
import socket
import time
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

import uvicorn

from skyserve_llm.replica.asgi import Receive, Scope, Send
from skyserve_llm.replica.errors import StartError
from skyserve_llm.replica.logs import log_event

_BACKLOG = 2048
# Longer than any client keeps an idle connection (httpx 5 s, nginx 60 s): the side that
# closes first must be the client's, or a request is lost on a closing connection.
_IDLE_CONNECTION_S = 75
_POLL_S = 0.05
# What uvicorn gives requests that are still running when our own time to drain is over.
_LAST_CALL_S = 1


class Drainable(Protocol):
    """An ASGI app that can be told to stop being ready, and says how much still runs."""

    @property
    def in_flight(self) -> int: ...

    def start_draining(self) -> None: ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainTimes:
    """``lame_duck_s``: keep serving at least so long. ``drain_timeout_s``: and at most so long."""

    lame_duck_s: float = 0.0
    drain_timeout_s: float = 60.0


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, made before anything slow, so that a taken port is known at once."""
    try:
        # The protocol comes with the address: asyncio turns Nagle's delay off only on
        # sockets that say they are TCP.
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise StartError(f"cannot find the address of host '{host}'") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            hint = "choose another with --port, or end the process that has it"
            raise StartError(f"port {port} on {host} is in use", hint=hint) from error
        raise StartError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def serve(app: Drainable, listener: socket.socket, times: DrainTimes) -> int:
    """Serve until a signal; the exit code."""
    config = uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE_CONNECTION_S,
        timeout_graceful_shutdown=_LAST_CALL_S,
        backlog=_BACKLOG,
    )
    server = _Server(config, app, times)
    server.run(sockets=[listener])
    if not server.started:
        return 1
    return 130 if server.signal == signal.SIGINT else 0


class _Server(uvicorn.Server):
    """uvicorn, whose signals begin a drain in place of closing the port."""

    def __init__(self, config: uvicorn.Config, app: Drainable, times: DrainTimes) -> None:
        super().__init__(config)
        self._drainable = app
        self._times = times
        self.signal: int | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # In place of uvicorn's own, which also raises the signal again at the end: a
        # drained replica ends with 0.
        if self.signal is not None:
            self.should_exit = self.force_exit = True
        self.signal = sig

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        draining = asyncio.create_task(self._drain_after_signal())
        try:
            await super().serve(sockets)
        finally:
            draining.cancel()

    async def _drain_after_signal(self) -> None:
        # A signal handler may interrupt anything: it leaves a note, and this task looks.
        while self.signal is None:
            await asyncio.sleep(_POLL_S)
        began = time.monotonic()
        self._drainable.start_draining()
        log_event("draining", in_flight=self._drainable.in_flight)
        while not self._drained(time.monotonic() - began):
            await asyncio.sleep(_POLL_S)
        self.should_exit = True

    def _drained(self, elapsed_s: float) -> bool:
        if elapsed_s >= self._times.drain_timeout_s:
            return True
        return elapsed_s >= self._times.lame_duck_s and self._drainable.in_flight == 0
