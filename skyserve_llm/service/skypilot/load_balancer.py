"""SkyServe's own load balancer, unpatched, as a process of its own on loopback.

Run as ``python -m skyserve_llm.service.skypilot.load_balancer``, with the controller's address
in the environment. Nothing of ``SkyServeLoadBalancer`` is changed but where it listens. Knows
SkyPilot and nothing of who runs its replicas.
"""

import argparse
import asyncio
import logging
import os
import re
import socket
import time
import urllib.error
import urllib.request

import uvicorn
from sky import sky_logging
from sky.serve.load_balancer import SkyServeLoadBalancer

CONTROLLER_URL = "LLMBUDGET_CONTROLLER_URL"
"""Environment, not argument: it holds a secret, and everybody may read a command line."""

ALIVE_PATH = "/llmbudget/alive"
"""``OPTIONS`` on it is answered 405 by the load balancer itself, no replica is asked."""

_FIRST_SYNC_SECONDS = 12  # 5 s after start, and it may take 5 s

_SECRETS = re.compile(
    r"""(['"](?:(?:proxy-)?authorization|(?:x-)?api-key|cookie)['"]:\s*)"""
    r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""",
    re.IGNORECASE,
)


class LoopbackLoadBalancer(SkyServeLoadBalancer):  # type: ignore[misc]  # sky is untyped here
    """``SkyServeLoadBalancer`` on a socket that is already listening.

    The parent's ``run()`` binds 0.0.0.0, which would offer a model that runs on a laptop to
    everybody in the same network, and has no argument for another address. So ``run()`` alone
    is overridden: the same route and the same synchronisation task at startup, served on the
    socket that is handed in, once the first synchronisation has brought replicas. Until then
    clients wait in the socket's backlog: a request that the load balancer accepts while it
    knows of no replica is answered 503 or, if a replica comes during its retries, never.
    """

    def __init__(self, *, listener: socket.socket, **arguments: object) -> None:
        super().__init__(**arguments)
        self._listener = listener

    def run(self) -> None:
        self._app.add_api_route(
            "/{path:path}", self._proxy_with_retries, methods=["GET", "POST", "PUT", "DELETE"]
        )
        self._app.router.add_event_handler("startup", self._start_sync)
        uvicorn.Server(uvicorn.Config(self._app)).run(sockets=[self._listener])

    async def _start_sync(self) -> None:
        for handler in logging.getLogger("uvicorn.access").handlers:
            handler.setFormatter(sky_logging.FORMATTER)
        # Kept: the event loop holds its tasks weakly.
        self._sync_task = asyncio.create_task(self._sync_with_controller())
        until = time.monotonic() + _FIRST_SYNC_SECONDS
        while not self._load_balancing_policy.ready_replicas and time.monotonic() < until:
            await asyncio.sleep(0.05)


class _Redact(logging.Filter):
    """SkyServe logs every request's headers; API keys must not reach a file."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "'" in message:
            record.msg, record.args = _SECRETS.sub(r"\1'…'", message), ()
        return True


class _DropAliveChecks(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return ALIVE_PATH not in record.getMessage()


def wait_for_first_replica(controller_url: str) -> None:
    """Return once the controller has a READY replica.

    The load balancer asks for its replicas 5 s after its start and then every 20 s. Started at
    this moment, with everything imported, it serves 5 s later and never up to 20.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with direct.open(f"{controller_url}/first_ready"):
                return
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.5)  # the controller is not up yet; if it died, the guard ends us


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listener", type=int, required=True, help="a listening socket's number")
    parser.add_argument("--load-balancing-policy", required=True)
    parser.add_argument("--stream-timeout-seconds", type=int, required=True)
    arguments = parser.parse_args()
    controller_url = os.environ[CONTROLLER_URL]

    for handler in logging.getLogger("sky").handlers:
        handler.addFilter(_Redact())
    logging.getLogger("uvicorn.access").addFilter(_DropAliveChecks())
    listener = socket.socket(fileno=arguments.listener)
    load_balancer = LoopbackLoadBalancer(
        listener=listener,
        controller_url=controller_url,
        load_balancer_port=listener.getsockname()[1],
        load_balancing_policy_name=arguments.load_balancing_policy,
        stream_timeout_seconds=arguments.stream_timeout_seconds,
    )
    wait_for_first_replica(controller_url)
    load_balancer.run()


if __name__ == "__main__":
    main()
