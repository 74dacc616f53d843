"""The supervisor's HTTP side, on loopback: what SkyServe's controller is to its load balancer.

    POST /<secret>/controller/load_balancer_sync  the call that ``SkyServeLoadBalancer`` makes
    GET  /<secret>/first_ready                    answers once a replica is READY
    POST /scale, /down                            orders of the command line, with a token

The secret and the token keep out other users of the machine: the first is known to the load
balancer's process only, the second to who can read the service's folder. Knows the board and
HTTP; what an order does is the supervisor's business.
"""

import asyncio
import contextlib
import hmac
import json
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn

from skyserve_llm.service.local.board import Board
from skyserve_llm.service.local.ports import LOOPBACK

_HOLD_SECONDS = 4.0
"""How long a sync may wait for replicas that are about to be READY.

The load balancer gives the call 5 s and makes the next one 20 s later, so a replica that is
READY one second too late would wait for 20. Meanwhile it goes on with the list it has.
"""

_LONGEST_BODY = 16 << 20

Order = Callable[[dict[str, Any]], Awaitable[bytes]]
"""Carries out an order and answers with JSON. Raises ValueError for one that makes no sense."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the supervisor's


class Controller:
    """Serves until ``close``. ``orders`` maps a path to what carries it out."""

    def __init__(self, board: Board, orders: dict[str, Order]) -> None:
        self._board, self._orders = board, orders
        self.token = secrets.token_urlsafe(32)
        self._secret = secrets.token_urlsafe(32)
        self._socket = socket.create_server((LOOPBACK, 0))
        self.url = f"http://{LOOPBACK}:{self._socket.getsockname()[1]}"
        self._server = _Server(
            uvicorn.Config(
                self._answer,
                interface="asgi3",  # not guessed: a bound method does not look like one
                loop="asyncio",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )

    @property
    def load_balancer_url(self) -> str:
        """The controller's address as the load balancer is told it."""
        return f"{self.url}/{self._secret}"

    async def serve(self) -> None:
        await self._server.serve(sockets=[self._socket])

    def close(self) -> None:
        self._server.should_exit = True

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > _LONGEST_BODY:
                await _reply(send, 413, b"{}")
                return
        status, answer = await self._route(scope, body)
        await _reply(send, status, answer)

    async def _route(self, scope: Any, body: bytes) -> tuple[int, bytes]:
        path: str = scope["path"]
        if _same(path, f"/{self._secret}/controller/load_balancer_sync"):
            return 200, json.dumps(await self._sync()).encode()
        if _same(path, f"/{self._secret}/first_ready"):
            await self._board.until(lambda: bool(self._board.ready_urls))
            return 200, b"{}"
        order = self._orders.get(path)
        given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        if order is None or scope["method"] != "POST" or not _same(given, f"Bearer {self.token}"):
            return 404, b"{}"  # one answer for all: a stranger learns nothing
        try:
            return 200, await order(json.loads(body or b"{}"))
        except ValueError as error:
            return 400, json.dumps({"error": str(error)}).encode()

    async def _sync(self) -> dict[str, Any]:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._board.until(lambda: self._board.all_ready), _HOLD_SECONDS)
        urls = self._board.ready_urls
        self._board.note_sync(urls)
        # SkyServe's own word for a GPU type that it does not know; round_robin never asks.
        return {"replica_info": {url: {"gpu_type": "unknown"} for url in urls}}


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


async def _reply(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
