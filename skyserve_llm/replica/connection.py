"""A stream that ends when its client goes away. Knows Starlette's response only."""

import contextlib
from collections.abc import AsyncGenerator

from fastapi.responses import StreamingResponse

from skyserve_llm.replica.asgi import ClientGoneError, Receive, Scope, Send, until_disconnect


class EventStream(StreamingResponse):
    """Server-sent events, whose generator is closed before the response ends.

    Starlette leaves that to the garbage collector; an engine's place is worth more.
    """

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        # nginx and its kin hold a stream back unless they are told not to.
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with contextlib.aclosing(self._events):
            with contextlib.suppress(ClientGoneError):
                await until_disconnect(receive, self.stream_response(send))
