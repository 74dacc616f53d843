"""A replica under fire, and what a client sees of it over a raw socket."""

import asyncio
import contextlib
import json
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path

KEY = "sk-battery"
CHAT = "/v1/chat/completions"
ASK = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}
ENDLESS = {**ASK, "max_tokens": 7000, "ignore_eos": True, "stream": True}
# Far longer than any answer takes and than any limit of the replica under fire: a client that
# still has neither answer nor end of file then has found a hang.
PATIENCE_S = 20.0
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """``status`` None: the connection was closed without an answer."""

    status: int | None
    body: bytes
    seconds: float

    @property
    def word(self) -> str:
        if self.status is None:
            return "closed"
        # Everybody may read health, under whatever name he has found it.
        return "health" if set(_json(self.body)) == {"status", "replica"} else str(self.status)


def _json(body: bytes) -> dict[str, object]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


class HangError(Exception):
    """Neither an answer nor the end of the connection."""


def request(
    method: str,
    path: str,
    *headers: str,
    body: bytes = b"",
    key: str | None = KEY,
    version: str = "HTTP/1.1",
    host: str = "replica",
) -> bytes:
    """A request as bytes; what a header says is nobody's business here."""
    lines = [f"{method} {path} {version}", f"host: {host}"]
    if key is not None:
        lines.append(f"authorization: Bearer {key}")
    lines += headers
    if body and not any(line.lower().startswith(("content-l", "transfer-e")) for line in headers):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def ask(body: object, *headers: str, key: str | None = KEY) -> bytes:
    """A chat request; ``body`` is JSON, or bytes that may be anything."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return request("POST", CHAT, "content-type: application/json", *headers, body=raw, key=key)


class Connection:
    """One client's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        """Raises ConnectionError once the other side has had enough."""
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, *, to_head: bool = False, patience_s: float = PATIENCE_S) -> Reply:
        """The next answer, whole; ``to_head``: it only says how long a body would be.

        Raises:
            HangError: nothing came, for much longer than anything may take.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(patience_s):
                status, body = await self._read(to_head)
        except TimeoutError:
            raise HangError from None
        except (ConnectionError, asyncio.IncompleteReadError):
            status, body = None, b""
        return Reply(status, body, time.monotonic() - began)

    async def _read(self, to_head: bool) -> tuple[int, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status == 100:
            return await self._read(to_head)
        if to_head:
            return status, b""
        declared = _CONTENT_LENGTH.search(head)
        if declared is not None:
            return status, await self.reader.readexactly(int(declared[1]))
        return status, await self.reader.readuntil(b"\r\n0\r\n\r\n")

    async def closed(self) -> float:
        """Read on until the other side closes; how long that took. Raises HangError."""
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while await self.reader.read(1 << 16):
                        pass
            except TimeoutError:
                raise HangError from None
        return time.monotonic() - began

    def reset(self) -> None:
        """Vanish with an RST, as a killed process or a lost machine's NAT does."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass(frozen=True, slots=True)
class Target:
    """Where the replica listens, and its process."""

    port: int
    pid: int

    @contextlib.asynccontextmanager
    async def connect(self, *, receive_buffer: int | None = None) -> AsyncIterator[Connection]:
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        limit = 1 << 12 if receive_buffer is not None else 1 << 24
        reader, writer = await asyncio.open_connection(sock=sock, limit=limit)
        try:
            yield Connection(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def say(self, *parts: bytes) -> Reply:
        """Send the parts and read one answer. What cannot be sent any more is left unsent."""
        async with self.connect() as connection:
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    await connection.send(part)
            return await connection.reply(to_head=parts[0].startswith(b"HEAD"))

    async def is_healthy(self) -> bool:
        return (await self.say(request("GET", "/v1/health", key=None))).status == 200

    async def metric(self, name: str) -> float:
        body = (await self.say(request("GET", "/metrics"))).body.decode()
        lines = [line for line in body.splitlines() if line.startswith(name)]
        return float(lines[0].split()[-1])

    def peak_memory(self) -> int:
        """The most bytes the process has had in RAM since `forget_peak`."""
        return _status_kib(self.pid, "VmHWM") * 1024

    def forget_peak(self) -> int:
        """Let `peak_memory` begin anew; the bytes in RAM now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return _status_kib(self.pid, "VmRSS") * 1024


def _status_kib(pid: int, name: str) -> int:
    lines: Iterable[str] = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
