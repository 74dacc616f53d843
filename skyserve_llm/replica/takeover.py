"""The gate inside a server that is not ours: SIGTERM, the listener, and the way out.

``vllm serve --middleware`` runs vLLM's own uvicorn server with vLLM's own signal handlers,
which end the engine under its running streams. They are set before the lifespan starts, so
from there on SIGTERM is taken over for the drain and given back after it.
"""

import asyncio
import signal
from collections.abc import Callable
from typing import Any

from skyserve_llm.replica.asgi import Scope
from skyserve_llm.replica.logs import LogEvent


class SurroundingServer:
    """The `Host` of a drain that somebody else's server provides."""

    def __init__(self, scope: Scope, log: LogEvent) -> None:
        self._app = scope.get("app")
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._theirs: Any = None
        self._holds_signal = False

    def take_sigterm(self, on_signal: Callable[[], None]) -> None:
        """From now on SIGTERM calls ``on_signal``, on the event loop."""
        theirs = signal.getsignal(signal.SIGTERM)
        try:
            self._loop.add_signal_handler(signal.SIGTERM, on_signal)
        except (ValueError, RuntimeError):  # not the main thread: its owner handles signals
            self._log("warning", message="SIGTERM cannot be taken over here: no drain")
            return
        self._theirs, self._holds_signal = theirs, True

    def give_sigterm_back(self) -> None:
        """As it was before, as far as Python can tell."""
        if self._holds_signal:
            self._holds_signal = False
            self._loop.remove_signal_handler(signal.SIGTERM)
            if self._theirs is not None and not self._is_the_loops(self._theirs):
                signal.signal(signal.SIGTERM, self._theirs)

    def close_listener(self) -> None:
        # vLLM leaves its server there for its own error handlers; so may others.
        server = getattr(getattr(self._app, "state", None), "server", None)
        listeners = getattr(server, "servers", ())
        for listener in listeners:
            listener.close()
        if not listeners:
            self._log("warning", message="the server's listener is not known and stays open")

    def end(self) -> None:
        """End the process as the server would have at SIGTERM."""
        theirs, held = self._theirs, self._holds_signal
        self.give_sigterm_back()
        # A handler that was registered with the event loop cannot be had back from it. Who
        # registers one for SIGTERM registers the same for SIGINT, and that one still stands.
        lost = held and (theirs is None or self._is_the_loops(theirs))
        signal.raise_signal(signal.SIGINT if lost else signal.SIGTERM)

    def _is_the_loops(self, handler: Any) -> bool:
        """Whether it is what asyncio or uvloop leave in place of a callback of their own."""
        if getattr(handler, "__self__", None) is self._loop:
            return True
        return getattr(handler, "__module__", None) == "asyncio.unix_events"
