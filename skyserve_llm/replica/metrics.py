"""The gate's Prometheus metrics. Knows outcomes and times, not requests.

A registry of its own for each gate: two gates in one process do not mix, and the engine's
own metrics stay the engine's.
"""

from collections.abc import Callable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# From an engine that is idle to one that queues for minutes.
_FIRST_TOKEN_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
# 5 ms is a small model on a large card; from 0.25 s on people see single words come.
_BETWEEN_TOKENS_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 5, 30)
_DURATION_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_GAUGES = {
    "requests_in_flight": "Requests that the engine has now.",
    "requests_queued": "Requests that wait for a place.",
    "ready": "1 while /v1/health answers 200.",
    "draining": "1 from the beginning of a drain.",
}


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    UNAUTHORIZED = "unauthorized"
    REJECTED = "rejected"  # there was no room for it
    CLIENT_ERROR = "client_error"
    SERVER_ERROR = "server_error"
    DISCONNECTED = "disconnected"  # the client went away before the end
    CUT = "cut"  # the replica ended it: its time to drain was over


class GateMetrics:
    """Counters of what passed the gate; health, metrics and the gate's own probe do not count."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "llmbudget_requests",
            "Requests by how they ended.",
            ["outcome"],
            registry=self._registry,
        )
        self.notices = Counter(
            "llmbudget_preemption_notices",
            "Notices that the machine will be taken away, or may be.",
            ["cloud", "kind"],
            registry=self._registry,
        )
        self.first_token = self._histogram(
            "time_to_first_token_seconds",
            "From a request to the first event of its stream.",
            _FIRST_TOKEN_BUCKETS,
        )
        self.between_tokens = self._histogram(
            "time_between_tokens_seconds",
            "From one event of a stream to the next.",
            _BETWEEN_TOKENS_BUCKETS,
        )
        self.duration = self._histogram(
            "request_duration_seconds",
            "From a request to the end of an answer that was served whole.",
            _DURATION_BUCKETS,
        )
        for outcome in Outcome:  # a counter that does not exist yet cannot be alerted on
            self.requests.labels(outcome)

    def show(self, **values: Callable[[], float]) -> None:
        """Gauges, each with the function that says its value: the names of `_GAUGES`."""
        for name, value in values.items():
            gauge = Gauge(f"llmbudget_{name}", _GAUGES[name], registry=self._registry)
            gauge.set_function(value)

    def note_event(self, since_request_s: float, since_event_s: float | None) -> None:
        """An event of a stream has been sent."""
        if since_event_s is None:
            self.first_token.observe(since_request_s)
        else:
            self.between_tokens.observe(since_event_s)

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"llmbudget_{name}", text, buckets=buckets, registry=self._registry)
