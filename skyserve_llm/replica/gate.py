"""The gate: the one way into a replica, around any ASGI app that speaks OpenAI's API.

It answers ``GET /v1/health`` and ``GET /metrics`` itself, checks the key on every other
request, keeps to limits, names the request and the replica, writes the access log, keeps
silent streams alive and drains. It knows ASGI and nothing of engines or of FastAPI, and it
takes everything it needs from the environment when it is given nothing but the app:

    vllm serve MODEL --middleware skyserve_llm.replica.gate.Gate
"""

import asyncio
import contextlib

from skyserve_llm.replica import asgi
from skyserve_llm.replica.admission import Admission
from skyserve_llm.replica.asgi import ASGIApp, ClientGoneError, Message, Receive, Scope, Send
from skyserve_llm.replica.exchange import Exchange, named, request_id_of
from skyserve_llm.replica.intake import Intake, check_head
from skyserve_llm.replica.lifecycle import Lifecycle
from skyserve_llm.replica.logs import LogEvent, log_event, where
from skyserve_llm.replica.metrics import GateMetrics, Outcome
from skyserve_llm.replica.own_routes import OwnRoutes
from skyserve_llm.replica.probe import ask_for_token
from skyserve_llm.replica.readiness import Health, Probe
from skyserve_llm.replica.refusal import RefusedError, unauthorized
from skyserve_llm.replica.routes import RouteList
from skyserve_llm.replica.settings import GateSettings

_LOGGED_PATH_LENGTH = 200


class Gate:
    """Pure ASGI middleware, outermost: it sees the lifespan and every request.

    Whoever starts the server may set ``lifecycle.host``; else the server around it is taken.
    """

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
        self._replica = self._settings.replica_id.encode()
        self._metrics = GateMetrics()
        self._routes = RouteList(self._settings.allow_routes)
        self._intake = Intake(self._settings.limits)
        self._admission = Admission(
            max_in_flight=self._settings.max_in_flight,
            max_queued=self._settings.max_queued,
            queue_timeout_s=self._settings.queue_timeout_s,
        )
        self._running: set[Exchange] = set()
        self.lifecycle = Lifecycle(
            self._settings,
            probe or self._ask_app,
            in_flight=lambda: len(self._running),
            cut=self._cut,
            metrics=self._metrics,
            log=log,
        )
        self._own = OwnRoutes(
            app,
            replica_id=self._settings.replica_id,
            health=self.lifecycle.health,
            metrics=self._metrics,
            log=log,
        )
        self._metrics.show(
            requests_in_flight=lambda: self._admission.in_flight,
            requests_queued=lambda: self._admission.queued,
            ready=lambda: self.lifecycle.health().health is Health.OK,
            draining=lambda: self.lifecycle.drain.is_draining,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # As a middleware we stand inside an app that marks its scopes; our own calls to the
        # app must carry the same marks.
        if not self._base:
            self._base = {key: scope[key] for key in ("app", "state") if key in scope}
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        self.lifecycle.start(scope)  # for servers that run no lifespan
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        else:  # no route of the list is a websocket's
            await send({"type": "websocket.close", "code": 1008})

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self.lifecycle.start(scope)
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            await self.lifecycle.stop()

    def _cut(self, reason: str) -> None:
        for exchange in list(self._running):
            exchange.cut(reason)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._own.is_health_check(scope):
            await self._own.send_health(send)
            return
        exchange = self._exchange(scope, receive, send)
        outcome: Outcome | None = Outcome.CUT
        self._running.add(exchange)
        try:
            outcome = await self._answer(scope, exchange)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if exchange.cut_reason is None or task is None:
                raise
            task.uncancel()
            await exchange.last_words()
        finally:
            await exchange.aclose()
            if outcome is not None:
                self._record(scope, exchange, outcome)
            self._running.discard(exchange)

    def _exchange(self, scope: Scope, receive: Receive, send: Send) -> Exchange:
        request_id = request_id_of(scope)
        headers = [(b"x-request-id", request_id), (b"x-llmbudget-replica", self._replica)]
        if (
            self.lifecycle.drain.is_draining
        ):  # whoever keeps the connection would send the next one here
            headers.append((b"connection", b"close"))
        return Exchange(
            receive,
            send,
            request_id=request_id.decode(),
            headers=headers,
            keep_alive_s=self._settings.keep_alive_s,
            on_event=self._note_event,
        )

    async def _answer(self, scope: Scope, exchange: Exchange) -> Outcome | None:
        """How it ended; None for what is the gate's own and no request to the engine."""
        try:
            self._check(scope)
            if self._own.has(scope):
                await self._own.answer(scope, self._base, exchange.send)
                return None
            await self._pass_on(scope, exchange)
        except RefusedError as refusal:
            await refusal.answer(exchange.send)
            return refusal.outcome
        except ClientGoneError:
            return Outcome.DISCONNECTED
        except Exception as error:  # noqa: BLE001 - the last one who can answer and log it
            if exchange.disconnected:
                return Outcome.DISCONNECTED
            await self._answer_failure(exchange, error)
            self.lifecycle.readiness.doubt()
            return Outcome.SERVER_ERROR
        if exchange.cut_reason is not None and not exchange.complete:
            await exchange.last_words()  # the app took its cancellation for an end
            return Outcome.CUT
        outcome = _outcome(exchange)
        # An engine that says 503 is full, not broken.
        if outcome is Outcome.SERVER_ERROR and exchange.status != 503:
            self.lifecycle.readiness.doubt()
        return outcome

    def _check(self, scope: Scope) -> None:
        """Raise RefusedError for a request that is judged by its head already."""
        check_head(scope, self._settings.limits)
        if not self._has_key(scope):
            given = asgi.header(scope, b"authorization") is not None
            raise unauthorized(key_given=given)
        if not self._own.has(scope) and not self._routes.opens(scope):
            path = scope["path"][:_LOGGED_PATH_LENGTH]
            raise RefusedError(404, f"Not Found: {scope['method']} {path}")

    async def _pass_on(self, scope: Scope, exchange: Exchange) -> None:
        async with (
            self._intake.body(scope, exchange.receive) as body,
            contextlib.AsyncExitStack() as held,
        ):
            place = held.enter_async_context(self._admission.place())
            if self._admission.is_full:
                await asgi.until_disconnect(exchange.receive, place)
            else:
                await place
            if body is not None:
                exchange.give_back(body)
            await self._app(named(scope, exchange.request_id), exchange.receive, exchange.send)

    def _has_key(self, scope: Scope) -> bool:
        return self._settings.keys.accepts(asgi.header(scope, b"authorization"))

    async def _answer_failure(self, exchange: Exchange, error: Exception) -> None:
        name = type(error).__name__
        self._log("error", request_id=exchange.request_id, error=name, where=where(error))
        if exchange.status is None:
            message = "The replica failed on this request."
            await asgi.send_error(exchange.send, 500, message, kind="server_error", code=None)
        # A stream that has begun is left unfinished: the server closes the connection, and
        # the client sees that no [DONE] came.

    def _note_event(self, since_request_s: float, since_event_s: float | None) -> None:
        self.lifecycle.readiness.saw_token()
        self._metrics.note_event(since_request_s, since_event_s)

    async def _ask_app(self) -> None:
        await ask_for_token(self._app, self._base)

    def _record(self, scope: Scope, exchange: Exchange, outcome: Outcome) -> None:
        self._metrics.requests.labels(outcome).inc()
        if outcome is Outcome.OK:
            self._metrics.duration.observe(exchange.elapsed_s)
            if scope["method"] == "POST":
                self.lifecycle.readiness.saw_token()
        first_byte_s = exchange.first_byte_s
        self._log(
            "request",
            request_id=exchange.request_id,
            replica=self._settings.replica_id,
            method=scope["method"],
            path=scope["path"][:_LOGGED_PATH_LENGTH],
            status=exchange.status,
            outcome=outcome,
            stream=exchange.is_stream,
            first_byte_ms=None if first_byte_s is None else round(first_byte_s * 1000, 1),
            duration_ms=round(exchange.elapsed_s * 1000, 1),
        )


def _outcome(exchange: Exchange) -> Outcome:
    if exchange.disconnected:
        return Outcome.DISCONNECTED
    if exchange.status is None or exchange.status >= 500 or not exchange.complete:
        return Outcome.SERVER_ERROR
    return Outcome.CLIENT_ERROR if exchange.status >= 400 else Outcome.OK
