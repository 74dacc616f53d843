"""The gate: the one way into a replica, around any ASGI app that speaks OpenAI's API.

It answers ``GET /v1/health`` and ``GET /metrics`` itself, checks the key on every other
request, names the request and the replica, writes the access log, and keeps silent streams
alive. It knows ASGI and nothing of engines or of FastAPI, and it takes everything it needs
from the environment when it is given nothing but the app:

    vllm serve MODEL --middleware skyserve_llm.replica.gate.Gate
"""

import re
import uuid

from skyserve_llm.replica import asgi
from skyserve_llm.replica.asgi import ASGIApp, Message, Receive, Scope, Send
from skyserve_llm.replica.exchange import Exchange
from skyserve_llm.replica.logs import LogEvent, log_event, where
from skyserve_llm.replica.metrics import GateMetrics, Outcome
from skyserve_llm.replica.readiness import Health, Probe, Readiness, ask_for_token
from skyserve_llm.replica.settings import GateSettings

HEALTH_PATH = "/v1/health"
METRICS_PATH = "/metrics"

# A caller's own request id goes into a log and a header: only if it is plain and short.
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_LOGGED_PATH_LENGTH = 200
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Gate:
    """Pure ASGI middleware, outermost: it sees the lifespan and every request."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: GateSettings | None = None,
        probe: Probe | None = None,
        log: LogEvent = log_event,
    ) -> None:
        self._app = app
        self._settings = settings or GateSettings.from_env()
        self._log = log
        self._base: Scope = {}
        self._metrics = GateMetrics()
        self._readiness = Readiness(probe or self._ask_app, log)
        self._in_flight = 0
        self._replica = self._settings.replica_id.encode()

    @property
    def in_flight(self) -> int:
        """Requests inside the app now."""
        return self._in_flight

    def start_draining(self) -> None:
        """Health says 503 from now on; requests are served as before.

        Never 503 for a request: a load balancer that still lists this replica passes it on
        to the client.
        """
        self._readiness.drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # As a middleware we stand inside an app that marks its scopes; our own calls to the
        # app must carry the same marks.
        if not self._base:
            self._base = {key: scope[key] for key in ("app", "state") if key in scope}
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        self._readiness.start()  # for servers that run no lifespan
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif self._settings.keys.accepts(asgi.header(scope, b"authorization")):
            await self._app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": "invalid API key"})

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self._readiness.start()
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            await self._readiness.stop()

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (scope["method"], scope["path"]) == ("GET", HEALTH_PATH):
            await self._send_health(send)
            return
        request_id = _request_id(scope)
        names = [(b"x-request-id", request_id), (b"x-llmbudget-replica", self._replica)]
        exchange = Exchange(receive, send, headers=names, keep_alive_s=self._settings.keep_alive_s)
        if not self._settings.keys.accepts(asgi.header(scope, b"authorization")):
            await _refuse(scope, exchange.send)
            self._record(scope, request_id, exchange, Outcome.UNAUTHORIZED)
        elif scope["path"] in (HEALTH_PATH, METRICS_PATH):
            await self._own_route(scope, exchange.send)
        else:
            await self._pass_on(_named(scope, request_id), request_id, exchange)

    async def _pass_on(self, scope: Scope, request_id: bytes, exchange: Exchange) -> None:
        outcome = Outcome.CUT
        self._in_flight += 1
        try:
            await self._app(scope, exchange.receive, exchange.send)
            outcome = _outcome(exchange)
        except Exception as error:  # noqa: BLE001 - the last one who can answer and log it
            outcome = Outcome.DISCONNECTED if exchange.disconnected else Outcome.SERVER_ERROR
            await self._answer_failure(request_id, exchange, error)
        finally:
            self._in_flight -= 1
            await exchange.aclose()
            self._record(scope, request_id, exchange, outcome)
            # An engine that says 503 is full, not broken.
            if outcome is Outcome.SERVER_ERROR and exchange.status != 503:
                self._readiness.doubt()

    async def _answer_failure(
        self, request_id: bytes, exchange: Exchange, error: Exception
    ) -> None:
        self._log(
            "error", request_id=request_id.decode(), error=type(error).__name__, where=where(error)
        )
        if exchange.status is None:
            message = "The replica failed on this request."
            await asgi.send_error(exchange.send, 500, message, kind="server_error", code=None)
        # A stream that has begun is left unfinished: the server closes the connection, and
        # the client sees that no [DONE] came.

    async def _send_health(self, send: Send) -> None:
        report = self._readiness.report
        body = {"status": report.health, "replica": self._settings.replica_id}
        if report.reason is not None:
            body["reason"] = report.reason
        status = 200 if report.health is Health.OK else 503
        replica = [(b"x-llmbudget-replica", self._replica), (b"cache-control", b"no-store")]
        await asgi.send_json(send, status, body, headers=replica)

    async def _own_route(self, scope: Scope, send: Send) -> None:
        if scope["method"] != "GET":
            message = f"{scope['path']} answers GET only."
            kind = "invalid_request_error"
            allow = [(b"allow", b"GET")]
            await asgi.send_error(send, 405, message, kind=kind, code=None, headers=allow)
            return
        self._metrics.in_flight.set(self._in_flight)
        self._metrics.ready.set(self._readiness.report.health is Health.OK)
        body = await self._engine_metrics() + self._metrics.render()
        await asgi.send_bytes(send, 200, body, content_type=_METRICS_TYPE)

    async def _engine_metrics(self) -> bytes:
        """The engine's own, where it has any: they stand before the gate's."""
        try:
            answer = await asgi.call(self._app, "GET", METRICS_PATH, base=self._base)
        except Exception as error:  # noqa: BLE001 - the gate's are wanted most when it is broken
            self._log("error", error=type(error).__name__, where=where(error))
            return b""
        return answer.body if answer.status == 200 else b""

    async def _ask_app(self) -> None:
        await ask_for_token(self._app, self._base)

    def _record(
        self, scope: Scope, request_id: bytes, exchange: Exchange, outcome: Outcome
    ) -> None:
        self._metrics.requests.labels(outcome).inc()
        first_byte_s = exchange.first_byte_s
        if first_byte_s is not None and outcome is Outcome.OK:
            stream = str(exchange.is_stream).lower()
            self._metrics.first_byte.labels(stream).observe(first_byte_s)
        self._log(
            "request",
            request_id=request_id.decode(),
            replica=self._settings.replica_id,
            method=scope["method"],
            path=scope["path"][:_LOGGED_PATH_LENGTH],
            status=exchange.status,
            outcome=outcome,
            stream=exchange.is_stream,
            first_byte_ms=None if first_byte_s is None else round(first_byte_s * 1000, 1),
            duration_ms=round(exchange.elapsed_s * 1000, 1),
        )


def _request_id(scope: Scope) -> bytes:
    given = asgi.header(scope, b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex.encode()


def _named(scope: Scope, request_id: bytes) -> Scope:
    headers = [pair for pair in scope["headers"] if pair[0] != b"x-request-id"]
    return {**scope, "headers": [*headers, (b"x-request-id", request_id)]}


def _outcome(exchange: Exchange) -> Outcome:
    if exchange.disconnected:
        return Outcome.DISCONNECTED
    if exchange.status is None or exchange.status >= 500 or not exchange.complete:
        return Outcome.SERVER_ERROR
    return Outcome.CLIENT_ERROR if exchange.status >= 400 else Outcome.OK


async def _refuse(scope: Scope, send: Send) -> None:
    if asgi.header(scope, b"authorization") is None:
        message = "No API key was given. Send it as 'Authorization: Bearer KEY'."
    else:
        message = "The API key is not one of this service."
    await asgi.send_error(
        send,
        401,
        message,
        kind="invalid_request_error",
        code="invalid_api_key",
        headers=[(b"www-authenticate", b"Bearer")],
    )
