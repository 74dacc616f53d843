"""One request's way through the gate: what was sent and when, and the silence in between.

Wraps the two ASGI callables of a single request. Knows no keys, no health and no engine.
"""

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import Callable

from skyserve_llm.replica import asgi, sse
from skyserve_llm.replica.asgi import Message, Receive, Scope, Send

# A caller's own request id goes into a log and a header: only if it is plain and short.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_OWN_HEADERS = (b"x-request-id", b"x-llmbudget-replica")
# A client that reads nothing must not hold up the end of the process.
_LAST_WORDS_S = 1.0


class Exchange:
    """The app's ``receive`` and ``send``, with the gate looking on.

    ``on_event`` is called with the seconds since the request came, and since the event before
    (None for the first), each time an event of a stream has been sent.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        request_id: str,
        headers: list[tuple[bytes, bytes]],
        keep_alive_s: float,
        on_event: Callable[[float, float | None], None],
    ) -> None:
        self._receive = receive
        self._send = send
        self._headers = headers
        self._keep_alive_s = keep_alive_s
        self._on_event = on_event
        self._began = self._spoke = time.monotonic()
        self._last_event: float | None = None
        self._body: bytes | None = None
        self._is_sending = False
        self._timer: asyncio.TimerHandle | None = None
        self._comment: asyncio.Task[None] | None = None
        self._task = asyncio.current_task()
        self._tally = sse.StreamTally()
        self.request_id = request_id
        self.status: int | None = None
        self.is_stream = False
        self.complete = False
        self.disconnected = False
        self.cut_reason: str | None = None
        self.first_byte_s: float | None = None

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def give_back(self, body: bytes) -> None:
        """Let the app receive a body that was read before it."""
        self._body = body

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self.complete:
            self.disconnected = True
        return message

    async def send(self, message: Message) -> None:
        is_body = message["type"] == "http.response.body"
        if message["type"] == "http.response.start":
            message = self._opened(message)
        if self._comment is not None:  # one leaves before this, never in the middle of it
            await asyncio.gather(self._comment, return_exceptions=True)
        self._is_sending = True
        try:
            await self._send(message)
        except OSError:  # how newer servers tell that the client has gone
            self.disconnected = True
            raise
        finally:
            self._is_sending = False
        self._spoke = time.monotonic()
        if is_body:
            self._note_body(message)
        elif self.is_stream:
            self._listen_for_silence(self._keep_alive_s)

    def cut(self, reason: str) -> None:
        """End it now. The app is cancelled, and `last_words` follow."""
        if self.cut_reason is None and self._task is not None:
            self.cut_reason = reason
            self._task.cancel()

    async def last_words(self) -> None:
        """Say that the request was cut: as the last event, or as the whole answer."""
        await self.aclose()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._say_it_was_cut(self.cut_reason or "")

    async def _say_it_was_cut(self, reason: str) -> None:
        if self.status is None:
            message = f"The replica is ending ({reason}). Ask again."
            again = [(b"retry-after", b"1"), (b"connection", b"close")]
            code = "replica_draining"
            await asgi.send_error(
                self.send, 503, message, kind="server_error", code=code, headers=again
            )
        elif self.is_stream and not self.complete:
            event = sse.cut_event(self._tally, request_id=self.request_id, reason=reason)
            await self.send({"type": "http.response.body", "body": event, "more_body": False})
        # Anything else was in the middle of its body: the server closes the connection, and
        # the client sees that the body is not whole.

    async def aclose(self) -> None:
        """No comment leaves after this."""
        if self._timer is not None:
            self._timer.cancel()
        if self._comment is not None:
            self._comment.cancel()
            await asyncio.gather(self._comment, return_exceptions=True)

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
        if not body:
            return
        if self.first_byte_s is None:
            self.first_byte_s = self._spoke - self._began
        if self.is_stream and self._tally.feed(body):
            before, self._last_event = self._last_event, self._spoke
            self._on_event(self._spoke - self._began, before and self._spoke - before)

    def _listen_for_silence(self, delay: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay, self._break_silence)

    def _break_silence(self) -> None:
        """Say something, if nothing was said for so long; and come back."""
        now = time.monotonic()
        left_s = self._spoke + self._keep_alive_s - now
        if left_s <= 0:
            # Also where nothing can be said, in the middle of an event or of a message that
            # nobody takes: after a whole turn, not at once again.
            left_s, self._spoke = self._keep_alive_s, now
            if self._tally.between_events and not self._is_sending and self._comment is None:
                self._comment = asyncio.create_task(self._send_comment())
        if not self.complete:
            self._listen_for_silence(left_s)

    async def _send_comment(self) -> None:
        comment = {"type": "http.response.body", "body": sse.KEEP_ALIVE_COMMENT, "more_body": True}
        with contextlib.suppress(OSError):  # the app's own next message finds it out
            await self._send(comment)
        self._comment = None


def request_id_of(scope: Scope) -> bytes:
    """The caller's own, or a new one."""
    given = asgi.header(scope, b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex.encode()


def named(scope: Scope, request_id: str) -> Scope:
    """The scope with the request's id, for the app to log it too."""
    headers = [pair for pair in scope["headers"] if pair[0] != b"x-request-id"]
    return {**scope, "headers": [*headers, (b"x-request-id", request_id.encode())]}
