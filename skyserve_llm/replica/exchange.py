"""One request's way through the gate: what was sent and when, and the silence in between.

Wraps the two ASGI callables of a single request. Knows no keys, no health and no engine.
"""

import asyncio
import contextlib
import time

from skyserve_llm.replica.asgi import Message, Receive, Send

# A comment in the event stream format: clients skip it, proxies see a living connection.
KEEP_ALIVE_COMMENT = b": keep-alive\n\n"
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")

_OWN_HEADERS = (b"x-request-id", b"x-llmbudget-replica")


class Exchange:
    """The app's ``receive`` and ``send``, with the gate looking on."""

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        headers: list[tuple[bytes, bytes]],
        keep_alive_s: float,
    ) -> None:
        self._receive = receive
        self._send = send
        self._headers = headers
        self._keep_alive_s = keep_alive_s
        self._began = self._spoke = time.monotonic()
        self._between_events = True
        self._lock = asyncio.Lock()
        self._keep_alive: asyncio.Task[None] | None = None
        self.status: int | None = None
        self.is_stream = False
        self.complete = False
        self.disconnected = False
        self.first_byte_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self.complete:
            self.disconnected = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = self._opened(message)
        elif message["type"] == "http.response.body":
            self._note_body(message)
        # The lock keeps a comment out of the middle of the app's own message.
        async with self._lock:
            try:
                await self._send(message)
            except OSError:  # how newer servers tell that the client has gone
                self.disconnected = True
                raise
        self._spoke = time.monotonic()
        if self.is_stream and self._keep_alive is None and not self.complete:
            self._keep_alive = asyncio.create_task(self._break_silence())

    async def aclose(self) -> None:
        """No comment leaves after this."""
        if self._keep_alive is not None:
            self._keep_alive.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await self._keep_alive

    def _opened(self, message: Message) -> Message:
        self.status = message["status"]
        theirs = [
            pair for pair in message.get("headers", ()) if pair[0].lower() not in _OWN_HEADERS
        ]
        self.is_stream = any(
            name.lower() == b"content-type" and value.startswith(b"text/event-stream")
            for name, value in theirs
        )
        return {**message, "headers": [*theirs, *self._headers]}

    def _note_body(self, message: Message) -> None:
        body = message.get("body", b"")
        self.complete = not message.get("more_body", False)
        if body:
            self._between_events = body.endswith(_EVENT_ENDS)
            if self.first_byte_s is None:
                self.first_byte_s = self.elapsed_s

    async def _break_silence(self) -> None:
        comment = {"type": "http.response.body", "body": KEEP_ALIVE_COMMENT, "more_body": True}
        while not self.complete:
            await asyncio.sleep(self._spoke + self._keep_alive_s - time.monotonic())
            async with self._lock:
                silent = time.monotonic() >= self._spoke + self._keep_alive_s
                if silent and self._between_events and not self.complete:
                    await self._send(comment)
                if silent:  # also in the middle of an event: wait a whole turn, do not spin
                    self._spoke = time.monotonic()
