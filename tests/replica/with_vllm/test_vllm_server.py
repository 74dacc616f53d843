"""vLLM's own server behind the gate: clients, keys, limits, and an engine that freezes."""

import json
import re
import threading
from typing import Any

import httpx
import openai
import psutil
import pytest

KEY = "sk-vllm-tests"
ENDLESS = {"model": "tiny", "prompt": "hello", "max_tokens": 900, "ignore_eos": True}


@pytest.fixture(scope="module")
def replica(start_vllm: Any) -> Any:
    limits = {"LLMBUDGET_MAX_IN_FLIGHT": "4", "LLMBUDGET_MAX_QUEUED": "1"}
    doubts = {"LLMBUDGET_PROOF_INTERVAL_S": "1", "LLMBUDGET_TOKEN_TIMEOUT_S": "15"}
    return start_vllm("llama", LLMBUDGET_MAX_BODY_BYTES="100000", **limits, **doubts)


@pytest.fixture
def client(replica: Any) -> Any:
    transport = httpx.Client(trust_env=False, verify=False)
    url = f"{replica.url}/v1"
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0, http_client=transport) as client:
        yield client


def test_greedy_answers_of_a_batch_are_the_models_own(
    replica: Any, greedy_answers: Any, checkpoints: Any
) -> None:
    assert greedy_answers(replica) == checkpoints.expected["llama"]


def test_a_chat_streams_through_openais_client(client: openai.OpenAI) -> None:
    messages: Any = [{"role": "user", "content": "hello"}]
    whole = client.chat.completions.create(
        model="tiny", messages=messages, max_tokens=16, temperature=0
    )
    stream = client.chat.completions.create(
        model="tiny",
        messages=messages,
        max_tokens=16,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 16


def test_models_are_listed_and_an_unknown_one_is_a_clear_404(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    with pytest.raises(openai.NotFoundError) as caught:
        client.completions.create(model="another", prompt="hello", max_tokens=1)
    assert "`another` does not exist" in caught.value.message


def test_no_route_of_vllm_opens_without_a_key(replica: Any) -> None:
    routes = re.findall(r"Route: (\S+), Methods: (.+)", replica.log_file.read_text())
    assert len(routes) > 15
    assert {path for path, _ in routes} >= {"/metrics", "/tokenize", "/invocations", "/load"}
    with replica.client() as anyone, replica.client("sk-wrong") as other:
        for path, methods in routes:
            for method in methods.split(", "):
                for http in (anyone, other):
                    answered = http.request(method, path.replace("{", "").replace("}", ""))
                    assert answered.status_code == 401, (method, path)


def test_only_openais_routes_open_with_one(replica: Any) -> None:
    with replica.client(KEY) as http:
        for path in ("/docs", "/openapi.json", "/tokenize", "/load", "/version", "/invocations"):
            assert http.get(path).status_code == 404, path
        metrics = http.get("/metrics").text
    assert "\nvllm:num_requests_running" in metrics
    assert "\nllmbudget_ready 1.0" in metrics


def test_a_body_too_large_is_refused(replica: Any) -> None:
    with replica.client(KEY) as http:
        answered = http.post("/v1/completions", json={**ENDLESS, "prompt": "a" * 200_000})
    assert answered.status_code == 413


def test_more_than_its_places_is_a_429_that_says_when_to_come_back(replica: Any) -> None:
    answers: list[httpx.Response] = []
    with replica.client(KEY) as http:

        def ask() -> None:
            answers.append(http.post("/v1/completions", json=ENDLESS))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= 5  # four places, one in line
    refused = [answer for answer in answers if answer.status_code == 429]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)


def test_a_client_that_goes_away_frees_its_place_in_the_engine(replica: Any) -> None:
    with (
        replica.client(KEY) as http,
        http.stream("POST", "/v1/completions", json={**ENDLESS, "stream": True}) as stream,
    ):
        lines = stream.iter_lines()
        next(lines)
        replica.wait_until(lambda: running(replica) == 1)
    replica.wait_until(lambda: running(replica) == 0, within_s=5)
    cut = [event for event in replica.events_of("request") if event["outcome"] == "disconnected"]
    assert len(cut) == 1


def running(replica: Any) -> float:
    with replica.client(KEY) as http:
        metrics = http.get("/metrics").text
    found = re.search(r"^vllm:num_requests_running\S* (\S+)$", metrics, re.MULTILINE)
    assert found is not None, metrics
    return float(found[1])


def test_neither_key_nor_prompt_is_in_argv_or_in_a_log(replica: Any) -> None:
    secret = "a prompt that nobody else may read"
    with replica.client(KEY) as http:
        http.post("/v1/completions", json={**ENDLESS, "prompt": secret, "max_tokens": 1})
    process = psutil.Process(replica.process.pid)
    every = [process, *process.children(recursive=True)]
    assert not any(KEY in word for each in every for word in each.cmdline())
    log = replica.log_file.read_text()
    assert KEY not in log
    assert secret not in log
    assert replica.events_of("request")


def test_a_frozen_engine_shows_in_health_and_recovers(replica: Any, stopped_process: Any) -> None:
    core = next(
        child
        for child in psutil.Process(replica.process.pid).children(recursive=True)
        if "EngineCore" in " ".join(child.cmdline())
    )
    stopped_process(core.pid)
    replica.wait_until(lambda: replica.health().status_code == 503, within_s=60)
    health = json.loads(replica.health().text)
    assert health["status"] == "broken"
    core.resume()
    replica.wait_until(replica.is_ready, within_s=60)
