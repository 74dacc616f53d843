"""The gate's Prometheus metrics. Knows outcomes and times, not requests.

A registry of its own for each gate: two gates in one process do not mix, and the engine's
own metrics stay the engine's.
"""

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

# From an engine that is idle to one that queues for minutes.
_FIRST_BYTE_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    UNAUTHORIZED = "unauthorized"
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
        self.in_flight = Gauge(
            "llmbudget_requests_in_flight",
            "Requests that are being answered now.",
            registry=self._registry,
        )
        self.first_byte = Histogram(
            "llmbudget_time_to_first_byte_seconds",
            "From a request to the first byte of its answer's body; of a stream, its first token.",
            ["stream"],
            buckets=_FIRST_BYTE_BUCKETS,
            registry=self._registry,
        )
        self.ready = Gauge(
            "llmbudget_ready", "1 while /v1/health answers 200.", registry=self._registry
        )
        for outcome in Outcome:  # a counter that does not exist yet cannot be alerted on
            self.requests.labels(outcome)

    def render(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)
