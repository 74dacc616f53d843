"""The gate on a real port: health, keys, names, keep-alive, metrics, logs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

KEY = "sk-first"
ASK = {"messages": [{"role": "user", "content": "a-very-private-prompt"}], "max_tokens": 3}
CHAT = "/v1/chat/completions"
Start = Callable[..., Any]


@pytest.fixture(scope="module")
def locked(start_shared: Start) -> Any:
    flags = ("--ttft-ms", "0", "--tpot-ms", "0")
    keys = {"LLMBUDGET_API_KEY": f"{KEY}, sk-secönd", "LLMBUDGET_REPLICA_ID": "7"}
    return start_shared(*flags, env=keys)


def test_health_is_503_until_the_first_token(start: Start) -> None:
    slow = start("--ttft-ms", "600", wait_ready=False)
    early = slow.health()
    assert early.status_code == 503
    assert early.json()["status"] == "starting"
    assert "token" in early.json()["reason"]
    slow.wait_until(lambda: slow.health().status_code == 200)
    assert slow.health().json()["status"] == "ok"
    (became,) = slow.events_of("health")
    assert became["after_s"] >= 0.6


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("POST", CHAT),
        ("POST", "/v1/completions"),
        ("GET", "/metrics"),
        ("GET", "/nowhere"),
        ("POST", "/v1/health"),
        ("HEAD", "/v1/health"),
        ("GET", "/v1/health/"),
        ("GET", "//v1/health"),
        ("OPTIONS", "/v1/models"),
    ],
)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", f"Basic {KEY}", KEY, f"Bearer {KEY}x", f"Bearer {KEY},"],
)
def test_every_door_is_locked(
    locked: Any, method: str, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    with locked.client() as http:
        response = http.request(method, f"{locked.url}{path}", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    if method != "HEAD":
        assert response.json()["error"]["code"] == "invalid_api_key"


def test_health_needs_no_key(locked: Any) -> None:
    response = locked.health()
    assert response.status_code == 200
    assert response.headers["x-llmbudget-replica"] == "7"


@pytest.mark.parametrize(
    "authorization", [f"Bearer {KEY}", f"bearer {KEY}", f"Bearer   {KEY}", "Bearer sk-secönd"]
)
def test_every_key_opens(locked: Any, authorization: str) -> None:
    with locked.client() as http:
        headers = {"authorization": authorization.encode()}
        assert http.get("/v1/models", headers=headers).status_code == 200


def test_keys_from_a_file(start: Start, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# rotated monthly\nsk-new\n\nsk-old, sk-older\n")
    replica = start("--api-key-file", str(keys), env={"LLMBUDGET_API_KEY": "sk-environment"})
    expected = {"sk-new": 200, "sk-old": 200, "sk-older": 200, "sk-environment": 401, "#": 401}
    for key, status in expected.items():
        with replica.client(key) as http:
            assert http.get("/v1/models").status_code == status


def test_request_and_replica_are_named(locked: Any) -> None:
    with locked.client(KEY) as http:
        given = http.get("/v1/models", headers={"x-request-id": "req-1:a.b_c"})
        assert given.headers["x-request-id"] == "req-1:a.b_c"
        assert given.headers["x-llmbudget-replica"] == "7"
        made = [http.get("/v1/models").headers["x-request-id"] for _ in range(2)]
        assert len(set(made)) == 2
        for odd in ("", "a b", "x" * 200, "é".encode()):
            answered = http.get("/v1/models", headers={"x-request-id": odd})
            assert len(answered.headers["x-request-id"]) == 32


def test_skyserves_replica_id_is_the_second_choice(start: Start) -> None:
    replica = start(env={"SKYPILOT_SERVE_REPLICA_ID": "3"})
    assert replica.health().headers["x-llmbudget-replica"] == "3"


def test_a_silent_stream_is_kept_alive(start: Start) -> None:
    flags = ("--ttft-ms", "400", "--tpot-ms", "100", "--keep-alive-s", "0.04")
    replica = start(*flags)
    with replica.client() as http, http.stream("POST", CHAT, json={**ASK, "stream": True}) as got:
        lines = [line for line in got.iter_lines() if line]
    data = [number for number, line in enumerate(lines) if line.startswith("data: ")]
    comments = [number for number, line in enumerate(lines) if line == ": keep-alive"]
    assert len(data) + len(comments) == len(lines)
    assert comments[:3] == [0, 1, 2]  # before the first token
    assert any(data[1] < number < data[-1] for number in comments)  # and between two
    assert lines[-1] == "data: [DONE]"


def test_a_quick_stream_has_no_comments(replica: Any) -> None:
    with replica.client() as http, http.stream("POST", CHAT, json={**ASK, "stream": True}) as got:
        assert all(line.startswith("data: ") for line in got.iter_lines() if line)


def test_metrics_count_by_outcome(start: Start) -> None:
    replica = start("--ttft-ms", "0", "--tpot-ms", "0", env={"LLMBUDGET_API_KEY": KEY})
    with replica.client(KEY) as http, replica.client() as stranger:
        assert http.post(CHAT, json=ASK).status_code == 200
        assert http.post(CHAT, json={**ASK, "stream": True}).status_code == 200
        assert http.post(CHAT, json={}).status_code == 400
        assert stranger.get("/metrics").status_code == 401
        response = http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    lines = response.text.splitlines()
    for expected in (
        'llmbudget_requests_total{outcome="ok"} 2.0',
        'llmbudget_requests_total{outcome="client_error"} 1.0',
        'llmbudget_requests_total{outcome="unauthorized"} 1.0',
        'llmbudget_requests_total{outcome="disconnected"} 0.0',
        "llmbudget_requests_in_flight 0.0",
        "llmbudget_ready 1.0",
        'llmbudget_requests_total{outcome="rejected"} 0.0',
        "llmbudget_requests_queued 0.0",
        "llmbudget_draining 0.0",
        "llmbudget_time_to_first_token_seconds_count 1.0",
        "llmbudget_time_between_tokens_seconds_count 3.0",
        "llmbudget_request_duration_seconds_count 2.0",
    ):
        assert expected in lines


def test_the_log_tells_requests_but_no_secrets(locked: Any) -> None:
    with locked.client(KEY) as http:
        http.post(f"{CHAT}?token=in-the-query", json=ASK, headers={"x-request-id": "logged"})
        http.get("/v1/models", headers={"authorization": "Bearer sk-wrong"})
        http.post(CHAT, content=b'{"messages": "another-private-prompt"')
    locked.wait_until(lambda: locked.events_of("request")[-1]["status"] == 400)
    (logged,) = [event for event in locked.events() if event.get("request_id") == "logged"]
    assert logged["path"] == CHAT
    assert (logged["status"], logged["outcome"], logged["stream"]) == (200, "ok", False)
    assert logged["replica"] == "7"
    assert 0 <= logged["first_byte_ms"] <= logged["duration_ms"]
    text = locked.log_file.read_text()
    assert all(line.startswith("{") for line in text.splitlines())
    for secret in (KEY, "sk-sec", "sk-wrong", "private-prompt", "in-the-query"):
        assert secret not in text


def test_a_disconnect_frees_the_slot(start: Start) -> None:
    replica = start("--ttft-ms", "0", "--tpot-ms", "50", "--max-num-seqs", "1")
    endless = {**ASK, "max_tokens": 8000, "ignore_eos": True}
    with replica.client() as http:
        with http.stream("POST", CHAT, json={**endless, "stream": True}) as stream:
            next(stream.iter_lines())
        with pytest.raises(httpx.ReadTimeout):
            http.post(CHAT, json=endless, timeout=0.2)
        assert http.post(CHAT, json=ASK).status_code == 200
        replica.wait_until(
            lambda: 'outcome="disconnected"} 2.0' in http.get("/metrics").text, within_s=5
        )
        assert "llmbudget_requests_in_flight 0.0" in http.get("/metrics").text


def test_a_client_that_leaves_the_line_takes_no_slot(start: Start) -> None:
    replica = start("--ttft-ms", "0", "--tpot-ms", "20", "--max-num-seqs", "1")
    running = {**ASK, "max_tokens": 60, "ignore_eos": True, "stream": True}
    with replica.client() as http:
        with http.stream("POST", CHAT, json=running) as first:
            lines = first.iter_lines()
            next(lines)
            with pytest.raises(httpx.ReadTimeout):
                http.post(CHAT, json={**ASK, "max_tokens": 8000, "ignore_eos": True}, timeout=0.1)
            assert [line for line in lines if line][-1] == "data: [DONE]"
        assert http.post(CHAT, json=ASK).status_code == 200
