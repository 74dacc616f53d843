"""The gate's Prometheus metrics. Knows outcomes and times, not requests.

A registry of its own for each gate: two gates in one process do not mix, and the engine's
own metrics stay the engine's.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

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


class Histogram(Collector):
    """A histogram for one event loop: no locks, because each token of each stream is observed.

    prometheus_client's own takes five times as long, most of it in a lock for each number.
    """

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name, self._text = name, text
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What a scrape reads; a bucket holds all that is at most its bound."""
        bounds = [*map(str, map(float, self._bounds)), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._text, buckets, self._sum)


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

    def _histogram(self, name: str, text: str, bounds: Sequence[float]) -> Histogram:
        histogram = Histogram(f"llmbudget_{name}", text, bounds)
        self._registry.register(histogram)
        return histogram
