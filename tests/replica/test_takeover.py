"""The gate inside servers that are not ours: it takes SIGTERM over and gives it back."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

SERVER = Path(__file__).with_name("foreign_server.py")
ENDLESS = {"model": "theirs", "prompt": "x", "max_tokens": 3000, "stream": True}


class Foreign:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.port = int(process.stdout.readline().split()[1])

    def client(self) -> httpx.Client:
        url = f"http://127.0.0.1:{self.port}"
        return httpx.Client(base_url=url, timeout=30, trust_env=False, verify=False)

    def health(self) -> str:
        with self.client() as http:
            return http.get("/v1/health").json()["status"]

    def is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self) -> tuple[int, str]:
        out, _ = self.process.communicate(timeout=20)
        return self.process.returncode, out


def until(condition: object) -> None:
    deadline = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(params=["vllm-asyncio", "vllm-uvloop", "uvicorn-asyncio", "uvicorn-uvloop"])
def style(request: pytest.FixtureRequest) -> str:
    if request.param.endswith("uvloop"):
        pytest.importorskip("uvloop")
    return str(request.param)


@contextlib.contextmanager
def running(style: str, **settings: str) -> Iterator[Foreign]:
    process = subprocess.Popen(
        [sys.executable, str(SERVER), *style.split("-")],
        env={"LLMBUDGET_PREEMPTION_WATCH": "off", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=SERVER.parents[2],
    )
    try:
        foreign = Foreign(process)
        until(foreign.is_listening)
        until(lambda: foreign.health() == "ok")
        yield foreign
    finally:
        process.kill()
        process.communicate()


def test_a_drain_under_load_and_then_their_own_way_to_end(style: str) -> None:
    lame_duck = {"LLMBUDGET_LAME_DUCK_S": "0.6"}
    with running(style, **lame_duck) as foreign, foreign.client() as http:
        body = {**ENDLESS, "max_tokens": 80}
        with http.stream("POST", "/v1/completions", json=body) as stream:
            lines = stream.iter_lines()
            next(lines)
            foreign.process.send_signal(signal.SIGTERM)
            until(lambda: foreign.health() == "draining")
            with foreign.client() as other:  # a lame duck serves
                assert other.post("/v1/completions", json={"stream": False}).status_code == 200
            until(lambda: not foreign.is_listening())
            assert foreign.process.poll() is None
            assert [line for line in lines if line][-1] == "data: [DONE]"
        code, out = foreign.end()
    if style.startswith("vllm"):
        assert (code, out) == (0, "engine ended\nended in order\n")
    else:  # uvicorn raises the signal again when it is done
        assert code == -signal.SIGTERM


@pytest.mark.parametrize("style", ["vllm-asyncio", "uvicorn-asyncio"])
def test_past_the_deadline_a_stream_ends_with_what_its_client_needs(style: str) -> None:
    times = {"LLMBUDGET_DRAIN_TIMEOUT_S": "0.3"}
    with running(style, **times) as foreign, foreign.client() as http:
        headers = {"x-request-id": "mine"}
        with http.stream("POST", "/v1/completions", json=ENDLESS, headers=headers) as stream:
            lines = stream.iter_lines()
            next(lines)
            foreign.process.send_signal(signal.SIGTERM)
            *tokens, last = [line for line in lines if line]
        error = json.loads(last.removeprefix("data: "))["error"]
        sent = 1 + len(tokens)
        assert (error["code"], error["reason"]) == ("replica_draining", "SIGTERM")
        assert error["request_id"] == "mine"
        assert (error["sent_events"], error["sent_characters"]) == (sent, 2 * sent)
        code, _ = foreign.end()
    assert code == (0 if style.startswith("vllm") else -signal.SIGTERM)


@pytest.mark.parametrize("style", ["vllm-asyncio", "uvicorn-asyncio"])
def test_a_second_signal_ends_it_at_once(style: str) -> None:
    with running(style, LLMBUDGET_LAME_DUCK_S="60") as foreign, foreign.client() as http:
        with http.stream("POST", "/v1/completions", json=ENDLESS) as stream:
            lines = stream.iter_lines()
            next(lines)
            foreign.process.send_signal(signal.SIGTERM)
            until(lambda: foreign.health() == "draining")
            foreign.process.send_signal(signal.SIGTERM)
            last = [line for line in lines if line][-1]
        assert "replica_draining" in last
        foreign.end()
