"""Connections that cost nothing to hold open are not held open: uvicorn's protocol, with clocks.

A request that never becomes whole never reaches an ASGI app, so what is here cannot live in
the gate: heads that come too slowly or never end, clients that read nothing, peers that
vanished without a word. Built on httptools' callbacks and asyncio's, not on what uvicorn does
inside them. Knows no HTTP beyond where a head begins and ends.
"""

import asyncio
import socket
from dataclasses import dataclass
from typing import Any

import uvicorn.config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from skyserve_llm.replica.settings import GateSettings

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)
# What may come beside each byte of a body: the frame of the smallest chunk has five.
_OVERHEAD_A_BYTE = 8
# Between two probes of a peer that has been silent on TCP's level, and before the first.
_TCP_PROBE_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Sizes in bytes, times in seconds.

    ``max_header_bytes`` bounds all that is not body: a head, the frames and extensions of
    chunks, trailers. ``max_unread_bytes`` of a body that was refused are read and dropped.
    """

    max_header_bytes: int
    max_unread_bytes: int
    head_timeout_s: float
    write_timeout_s: float


def guarded_protocol(settings: GateSettings) -> type["GuardedProtocol"]:
    """The class for ``uvicorn.Config(http=…)``."""
    limits = ConnectionLimits(
        max_header_bytes=settings.max_header_bytes,
        max_unread_bytes=settings.max_body_bytes,
        head_timeout_s=settings.head_timeout_s,
        write_timeout_s=settings.write_timeout_s,
    )
    return type("GuardedProtocol", (GuardedProtocol,), {"limits": limits})


def guard_every_server(settings: GateSettings) -> None:
    """For a server in this process that somebody else will start: it, too, gets the class."""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = guarded_protocol(settings)  # type: ignore[assignment]


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    limits: ConnectionLimits

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._overhead = self._unread = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _watch_peer(transport, self.limits.write_timeout_s)
        self._start_head_timer(self.limits.head_timeout_s)

    def data_received(self, data: bytes) -> None:
        self._overhead += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._waits_for_head:
            self._start_head_timer(self.limits.head_timeout_s)
        if self._overhead > self.limits.max_header_bytes:
            self._hang_up()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._overhead = self._unread = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # not a trailer, which uvicorn would keep for nobody
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if not self.cycle.response_complete:
            self._overhead -= (1 + _OVERHEAD_A_BYTE) * len(body)
        elif self._unread < self.limits.max_unread_bytes:
            # Answered already, and most clients read nothing before they have sent all: a
            # connection that closes under them looks like a failure, not like our answer.
            self._unread += len(body)
            self._overhead -= len(body)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_head_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.cycle.response_complete:
            # The rest of a body that nobody waited for. uvicorn's own clock for idle
            # connections stopped when it came, and is not set again.
            self._stop_head_timer()
            self._start_head_timer(self.timeout_keep_alive)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_write_timer()
        delay = self.limits.write_timeout_s
        self._write_timer = self.loop.call_later(delay, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    @property
    def _waits_for_head(self) -> bool:
        """What comes belongs to a head, or to the body of a request that was answered."""
        cycle: RequestResponseCycle | None = self.cycle  # None until the first request
        return self._in_head or cycle is None or cycle.response_complete

    def _hang_up(self) -> None:
        if self._in_head:
            self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _start_head_timer(self, delay: float) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(delay, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


def _watch_peer(transport: asyncio.Transport, timeout_s: float) -> None:
    """Let the kernel find out about a peer that is gone: no FIN, no RST, no answer."""
    peer = transport.get_extra_info("socket")
    if peer is None or peer.family not in (socket.AF_INET, socket.AF_INET6):
        return
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _TCP_PROBE_S),
        ("TCP_KEEPINTVL", _TCP_PROBE_S),
        ("TCP_USER_TIMEOUT", int(timeout_s * 1000)),
    ):
        if hasattr(socket, name):  # they are Linux's
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
