"""The gate around apps that are not ours, constructed as ``vllm serve --middleware`` does it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from skyserve_llm.replica.gate import Gate
from skyserve_llm.replica.keys import KeyRing
from skyserve_llm.replica.routes import Route
from skyserve_llm.replica.settings import GateSettings
from tests.replica.serving import served, until


class Engine:
    """An OpenAI server whose state lives on the app, as vLLM's does."""

    def __init__(self) -> None:
        self.failing = False
        self.tokens = 1
        self.app = FastAPI()
        self.app.state.name = "theirs"

        @self.app.get("/v1/models")
        async def models(request: Request) -> dict[str, object]:
            return {"data": [{"id": request.app.state.name}]}

        @self.app.post("/v1/completions")
        async def complete(request: Request) -> dict[str, object]:
            assert (await request.json())["model"] == request.app.state.name
            if self.failing:
                raise RuntimeError("the card fell off the bus; prompt: secret")
            return {"usage": {"completion_tokens": self.tokens}}

        @self.app.get("/metrics")
        async def metrics() -> PlainTextResponse:
            return PlainTextResponse("their_metric 1\n")

        @self.app.get("/half")
        async def half() -> StreamingResponse:
            async def body() -> AsyncIterator[bytes]:
                yield b"data: half"
                raise RuntimeError("in the middle")

            return StreamingResponse(body(), media_type="text/event-stream")

        @self.app.get("/own-name")
        async def own_name(request: Request) -> Response:
            headers = {"x-request-id": "theirs", "x-seen": request.headers["x-request-id"]}
            return Response(headers=headers)


async def health(client: httpx.AsyncClient) -> str:
    response = await client.get("/v1/health")
    assert (response.status_code == 200) == (response.json()["status"] == "ok")
    return response.json()["status"]


async def test_as_a_middleware_it_takes_all_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMBUDGET_API_KEY", "sk-env")
    monkeypatch.setenv("LLMBUDGET_REPLICA_ID", "42")
    monkeypatch.setenv("LLMBUDGET_PREEMPTION_WATCH", "off")
    engine = Engine()
    engine.app.add_middleware(Gate)
    async with served(engine.app) as client:
        await until(lambda: _is(client, "ok"))
        refused = await client.get("/v1/models")
        assert (refused.status_code, refused.headers["x-llmbudget-replica"]) == (401, "42")
        key = {"authorization": "Bearer sk-env"}
        assert (await client.get("/v1/models", headers=key)).status_code == 200
        metrics = (await client.get("/metrics", headers=key)).text
        assert metrics.startswith("their_metric 1\n")
        assert "llmbudget_ready 1.0" in metrics
    assert '"event": "request"' in capsys.readouterr().err


async def _is(client: httpx.AsyncClient, expected: str) -> bool:
    return await health(client) == expected


def gate_around(engine: Engine, log: list[dict[str, object]]) -> Gate:
    routes = (Route.parse("/half"), Route.parse("GET /own-name"))
    settings = GateSettings(
        keys=KeyRing(), replica_id="1", allow_routes=routes, preemption_watch="off"
    )
    return Gate(
        engine.app,
        settings=settings,
        log=lambda event, **fields: log.append({"event": event, **fields}),
    )


async def test_an_engine_that_breaks_and_recovers() -> None:
    engine, log = Engine(), []
    async with served(gate_around(engine, log)) as client:
        await until(lambda: _is(client, "ok"))
        engine.failing = True
        failed = await client.post("/v1/completions", json={"model": "theirs"})
        assert failed.status_code == 500
        await until(lambda: _is(client, "broken"))
        assert "RuntimeError" in (await client.get("/v1/health")).json()["reason"]
        engine.failing = False
        await until(lambda: _is(client, "ok"))
    assert [e["health"] for e in log if e["event"] == "health"] == ["ok", "broken", "ok"]
    (error,) = [e for e in log if e["event"] == "error"]
    assert error["error"] == "RuntimeError"
    assert "secret" not in str(log)


async def test_an_answer_without_a_token_is_not_ready() -> None:
    engine, log = Engine(), []
    engine.tokens = 0
    async with served(gate_around(engine, log)) as client:
        await until(lambda: _said(client, "without a token"))
        assert await health(client) == "starting"
        engine.tokens = 1
        await until(lambda: _is(client, "ok"))


async def _said(client: httpx.AsyncClient, words: str) -> bool:
    return words in (await client.get("/v1/health")).json().get("reason", "")


async def test_an_app_that_raises_answers_in_openais_shape() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise ValueError("a prompt")

    log: list[dict[str, object]] = []
    gate = Gate(
        app,
        settings=GateSettings(keys=KeyRing(), replica_id="1", preemption_watch="off"),
        log=lambda event, **fields: log.append({"event": event, **fields}),
    )
    async with served(gate) as client:
        failed = await client.get("/v1/models")
        assert failed.status_code == 500
        assert failed.json()["error"]["type"] == "server_error"
        assert "a prompt" not in failed.text
        assert await health(client) == "starting"
        assert 'outcome="server_error"} 1.0' in (await client.get("/metrics")).text
    assert [e["outcome"] for e in log if e["event"] == "request"] == ["server_error"]


async def test_a_stream_that_breaks_is_left_unfinished() -> None:
    engine, log = Engine(), []
    async with served(gate_around(engine, log)) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/half")
    assert [e["outcome"] for e in log if e["event"] == "request"] == ["server_error"]


async def test_the_apps_own_request_id_gives_way() -> None:
    engine = Engine()
    async with served(gate_around(engine, [])) as client:
        answered = await client.get("/own-name", headers={"x-request-id": "ours"})
    assert answered.headers.get_list("x-request-id") == ["ours"]
    assert answered.headers["x-seen"] == "ours"
