"""What the gate answers itself: ``GET /v1/health`` for all, ``GET /metrics`` for key holders.

Knows ASGI, and the state of the replica as a report and a text; knows no engine.
"""

from collections.abc import Callable

from skyserve_llm.replica import asgi
from skyserve_llm.replica.asgi import ASGIApp, Scope, Send
from skyserve_llm.replica.logs import LogEvent, where
from skyserve_llm.replica.metrics import GateMetrics
from skyserve_llm.replica.readiness import Health, HealthReport
from skyserve_llm.replica.refusal import RefusedError

HEALTH_PATH = "/v1/health"
METRICS_PATH = "/metrics"

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class OwnRoutes:
    """``health`` is asked at each request; the app's own metrics stand before the gate's."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        replica_id: str,
        health: Callable[[], HealthReport],
        metrics: GateMetrics,
        log: LogEvent,
    ) -> None:
        self._app = app
        self._replica_id = replica_id
        self._health = health
        self._metrics = metrics
        self._log = log

    @staticmethod
    def is_health_check(scope: Scope) -> bool:
        """The one request that needs no key."""
        return (scope["method"], scope["path"]) == ("GET", HEALTH_PATH)

    @staticmethod
    def has(scope: Scope) -> bool:
        return scope["path"] in (HEALTH_PATH, METRICS_PATH)

    async def send_health(self, send: Send) -> None:
        report = self._health()
        body = {"status": report.health, "replica": self._replica_id}
        if report.reason is not None:
            body["reason"] = report.reason
        status = 200 if report.health is Health.OK else 503
        name = self._replica_id.encode()
        headers = [(b"x-llmbudget-replica", name), (b"cache-control", b"no-store")]
        await asgi.send_json(send, status, body, headers=headers)

    async def answer(self, scope: Scope, base: Scope, send: Send) -> None:
        """A request with a key. ``base`` is what the server around us puts into every scope."""
        if scope["method"] != "GET":
            message = f"{scope['path']} answers GET only."
            await RefusedError(405, message, headers=[(b"allow", b"GET")]).answer(send)
            return
        body = await self._engine_metrics(base) + self._metrics.render()
        await asgi.send_bytes(send, 200, body, content_type=_METRICS_TYPE)

    async def _engine_metrics(self, base: Scope) -> bytes:
        try:
            answer = await asgi.call(self._app, "GET", METRICS_PATH, base=base)
        except Exception as error:  # noqa: BLE001 - the gate's are wanted most when it is broken
            self._log("error", error=type(error).__name__, where=where(error))
            return b""
        return answer.body if answer.status == 200 else b""
