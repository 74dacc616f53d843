"""Loopback ports: one that is listened on, many that are kept for replicas.

Knows sockets and nothing of what will answer on them.
"""

import errno
import socket
from dataclasses import dataclass

from skyserve_llm.errors import BackendError, InputError

LOOPBACK = "127.0.0.1"

_LOAD_BALANCER_PORTS = range(30001, 31001)  # from where SkyServe starts, too
_REPLICA_PORTS = range(31001, 32768)  # below the range that outgoing connections are given


@dataclass(frozen=True, slots=True)
class KeptPort:
    """A port that nobody else can be given while ``_keeper`` is open.

    The keeper is bound and does not listen. A server that sets SO_REUSEADDR, as asyncio,
    uvicorn and vLLM do, can still listen there; a socket without it, as every other search
    for a free port uses, cannot. So a replica can be replaced on the port of the one before.
    """

    number: int
    _keeper: socket.socket

    def release(self) -> None:
        self._keeper.close()


def keep_free_port() -> KeptPort:
    """Keep a free loopback port for a replica."""
    for number in _REPLICA_PORTS:
        keeper = socket.socket()
        try:
            keeper.bind((LOOPBACK, number))
        except OSError as error:
            keeper.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            return KeptPort(number, keeper)
    raise OSError(f"no free port from {_REPLICA_PORTS.start} to {_REPLICA_PORTS[-1]}")


def listen(port: int | None) -> socket.socket:
    """Listen on ``port``, or on the first free port from 30001.

    Raises:
        InputError: the port asked for is taken.
        BackendError: none is free.
    """
    for number in _LOAD_BALANCER_PORTS if port is None else (port,):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, number))
            listener.listen(2048)
        except (OSError, OverflowError) as error:
            listener.close()
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                continue
            raise InputError(f"cannot listen on {LOOPBACK}:{number}: {error}") from error
        return listener
    if port is not None:
        raise InputError(
            f"port {port} on {LOOPBACK} is in use",
            hint="choose another with --port, or leave it out for the first free one",
        )
    raise BackendError(
        f"no free port from {_LOAD_BALANCER_PORTS.start} to {_LOAD_BALANCER_PORTS[-1]}"
    )
