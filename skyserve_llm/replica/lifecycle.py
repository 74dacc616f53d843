"""From the first token to the last: what runs beside the requests. Knows no HTTP.

Three things go on for as long as the replica lives: proving the engine, listening for the
cloud's notice, and waiting for the word to end. Health is what comes of them.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from skyserve_llm.replica.asgi import Scope
from skyserve_llm.replica.drain import Drain, Host
from skyserve_llm.replica.logs import LogEvent
from skyserve_llm.replica.metrics import GateMetrics
from skyserve_llm.replica.readiness import Health, HealthReport, Probe, Readiness
from skyserve_llm.replica.settings import GateSettings
from skyserve_llm.replica.takeover import SurroundingServer

if TYPE_CHECKING:
    from skyserve_llm.replica.preemption import Notice


class Lifecycle:
    """``in_flight`` counts the running requests and ``cut`` ends them.

    ``host`` is who holds the port and the process; where nobody has set it by the time the
    replica starts, it is the server around the gate.
    """

    def __init__(
        self,
        settings: GateSettings,
        probe: Probe,
        *,
        in_flight: Callable[[], int],
        cut: Callable[[str], None],
        metrics: GateMetrics,
        log: LogEvent,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._log = log
        self._background: list[asyncio.Task[None]] = []
        self.host: Host | None = None
        self.readiness = Readiness(
            probe,
            log,
            proof_interval_s=settings.proof_interval_s,
            token_timeout_s=settings.token_timeout_s,
        )
        self.drain = Drain(settings.drain_times, in_flight=in_flight, cut=cut, log=log)

    def health(self) -> HealthReport:
        """What ``/v1/health`` says now."""
        if self.drain.is_draining:
            reason = f"draining ({self.drain.reason}): finishing what runs"
            return HealthReport(Health.DRAINING, reason)
        return self.readiness.report

    def start(self, scope: Scope) -> None:
        """Begin, inside the event loop that serves; a second call changes nothing."""
        if self._background:
            return
        if self.host is None:
            self.host = surrounding = SurroundingServer(scope, self._log)
            surrounding.take_sigterm(lambda: self.drain.on_signal("SIGTERM"))
        beside = [self.readiness.watch(), self.drain.run(self.host)]
        if self._settings.preemption_watch != "off":
            beside.append(self._watch_for_preemption())
        self._background = [asyncio.create_task(work) for work in beside]

    async def stop(self) -> None:
        """End what `start` began."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if isinstance(self.host, SurroundingServer):
            self.host.give_sigterm_back()

    async def _watch_for_preemption(self) -> None:
        from skyserve_llm.replica import preemption  # its HTTP client takes 0.1 s to import

        await preemption.watch(
            self._settings.preemption_watch,
            self._settings.metadata_url,
            on_notice=self._on_notice,
            log=self._log,
        )

    def _on_notice(self, notice: "Notice") -> None:
        self._metrics.notices.labels(notice.cloud, notice.kind).inc()
        self._log("preemption", cloud=notice.cloud, kind=notice.kind, left_s=notice.left_s)
        if notice.is_certain or self._settings.on_rebalance == "drain":
            self.drain.begin(notice.reason, notice_s=notice.left_s)
