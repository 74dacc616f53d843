"""The socket, the process and its end: uvicorn around the gate. Knows no routes.

SIGTERM and SIGINT begin the drain; the port stays open until the drain closes it. A second
signal ends what still runs at once, with the same last event as at the deadline.
"""

import asyncio
import contextlib
import errno
import resource
import signal
import socket
from collections.abc import Iterator

import uvicorn

from skyserve_llm.replica.drain import Drain
from skyserve_llm.replica.errors import StartError
from skyserve_llm.replica.gate import Gate
from skyserve_llm.replica.http_protocol import guarded_protocol
from skyserve_llm.replica.settings import GateSettings

_BACKLOG = 2048
# Longer than any client keeps an idle connection (httpx 5 s, nginx 60 s): the side that
# closes first must be the client's, or a request is lost on a closing connection.
_IDLE_CONNECTION_S = 75
# What uvicorn gives connections that are still open when the drain is over.
_LAST_CALL_S = 1


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


def serve(gate: Gate, listener: socket.socket, settings: GateSettings) -> int:
    """Serve until the drain is over; the exit code."""
    _allow_many_connections()
    config = uvicorn.Config(
        gate,
        http=guarded_protocol(settings),
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_IDLE_CONNECTION_S,
        timeout_graceful_shutdown=_LAST_CALL_S,
        backlog=_BACKLOG,
    )
    server = _Server(config, gate.lifecycle.drain)
    gate.lifecycle.host = server
    server.run(sockets=[listener])
    if not server.started:
        return 1
    return 130 if server.signal == signal.SIGINT else 0


class _Server(uvicorn.Server):
    """uvicorn as the `Host` of the gate's drain: its signals begin it, and it has the port."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain
        self.signal: int | None = None

    def close_listener(self) -> None:
        for server in self.servers:
            server.close()

    def end(self) -> None:
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # In place of uvicorn's own, which also raises the signal again at the end: a
        # drained replica ends with 0. On the loop, so that no handler interrupts anything.
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _on_signal(self, number: int) -> None:
        self.signal = self.signal or number
        if self.started:
            self._drain.on_signal(signal.Signals(number).name)
        else:  # nothing is served yet, so nothing is lost
            self.should_exit = True


def _allow_many_connections() -> None:
    """As many open files as the system allows: each client is one, and Linux starts at 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
