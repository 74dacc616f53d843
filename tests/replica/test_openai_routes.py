"""The OpenAI subset over a real socket, with plain HTTP: shapes, limits, continuation."""

import asyncio
import json
from typing import Any

import httpx
import pytest

MODEL = "org/model"
ASK = {"model": MODEL, "messages": [{"role": "user", "content": "What does it cost?"}]}
COMPLETE = {"model": MODEL, "prompt": "It costs", "max_tokens": 40}


def chat(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = http.post("/v1/chat/completions", json={**ASK, **fields})
    assert response.status_code == 200, response.text
    return response.json()


def chunks(http: httpx.Client, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    with http.stream("POST", path, json={**body, "stream": True}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def text_of(answer: dict[str, Any]) -> str:
    return answer["choices"][0]["message"]["content"]


def test_models(http: httpx.Client) -> None:
    listed = http.get("/v1/models").json()
    assert listed["object"] == "list"
    assert [card["id"] for card in listed["data"]] == [MODEL]
    assert listed["data"][0]["max_model_len"] == 2000
    assert http.get(f"/v1/models/{MODEL}").json() == listed["data"][0]
    assert http.get("/v1/models/other").status_code == 404


def test_a_chat_answer_has_openais_shape(http: httpx.Client) -> None:
    answer = chat(http)
    assert set(answer) == {"id", "object", "created", "model", "choices", "usage"}
    assert answer["id"].startswith("chatcmpl-")
    assert (answer["object"], answer["model"]) == ("chat.completion", MODEL)
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert text_of(answer).startswith("[simulated] ")
    usage = answer["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_a_chat_stream_has_openais_chunks(http: httpx.Client) -> None:
    first, *middle, last = chunks(http, "/v1/chat/completions", {**ASK, "max_tokens": 5})
    assert first["choices"] == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }
    ]
    assert len(middle) == 5
    for chunk in middle:
        assert set(chunk) == {"id", "object", "created", "model", "choices"}
        assert chunk["object"] == "chat.completion.chunk"
        assert chunk["id"] == first["id"]
        assert set(chunk["choices"][0]["delta"]) == {"content"}
        assert chunk["choices"][0]["finish_reason"] is None
    assert last["choices"][0]["delta"] == {}
    assert last["choices"][0]["finish_reason"] == "length"


def test_a_stream_says_what_the_whole_answer_says(http: httpx.Client) -> None:
    answer = chat(http)
    usage_asked = {**ASK, "stream_options": {"include_usage": True}}
    *body, usage = chunks(http, "/v1/chat/completions", usage_asked)
    texts = [chunk["choices"][0]["delta"].get("content", "") for chunk in body]
    assert "".join(texts) == text_of(answer)
    assert all(chunk["usage"] is None for chunk in body)
    assert usage["choices"] == []
    assert usage["usage"] == answer["usage"]
    assert usage["usage"]["completion_tokens"] == sum(map(bool, texts))


def test_completions(http: httpx.Client) -> None:
    answer = http.post("/v1/completions", json=COMPLETE).json()
    assert answer["id"].startswith("cmpl-")
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 40
    *body, last = chunks(http, "/v1/completions", COMPLETE)
    assert "".join(c["choices"][0]["text"] for c in body) == answer["choices"][0]["text"]
    assert {chunk["object"] for chunk in body} == {"text_completion"}
    assert last["choices"][0] == {
        "index": 0,
        "text": "",
        "logprobs": None,
        "finish_reason": "length",
    }


def test_token_limits(http: httpx.Client) -> None:
    answer = chat(http, max_completion_tokens=3, max_tokens=7)
    assert answer["usage"]["completion_tokens"] == 3
    assert answer["choices"][0]["finish_reason"] == "length"
    endless = chat(http, ignore_eos=True)
    assert endless["usage"]["total_tokens"] == 2000  # --max-model-len of this replica
    no_limit = {"model": MODEL, "prompt": "It costs"}
    default = http.post("/v1/completions", json=no_limit).json()
    assert default["usage"]["completion_tokens"] == 16  # OpenAI's default of this route


def test_a_stop_string_ends_the_answer_before_it(http: httpx.Client) -> None:
    full = text_of(chat(http))
    stopped = chat(http, stop=["stands in", "nowhere in it"])
    assert text_of(stopped) == full[: full.index("stands in")]
    assert stopped["choices"][0]["finish_reason"] == "stop"
    streamed = chunks(http, "/v1/chat/completions", {**ASK, "stop": "stands in"})
    texts = [chunk["choices"][0]["delta"].get("content", "") for chunk in streamed]
    assert "".join(texts) == text_of(stopped)


@pytest.mark.parametrize("split", [0, 1, 15, 60, 10_000])
def test_an_answer_goes_on_where_it_was_cut(http: httpx.Client, split: int) -> None:
    full = text_of(chat(http))
    said = {"role": "assistant", "content": full[:split]}
    rest = chat(
        http,
        messages=[*ASK["messages"], said],
        continue_final_message=True,
        add_generation_prompt=False,
    )
    assert text_of(rest) == full[split:]
    assert rest["choices"][0]["finish_reason"] == "stop"


def test_content_in_parts_is_the_same_as_in_one(http: httpx.Client) -> None:
    parts = [{"type": "text", "text": "What does "}, {"type": "text", "text": "it cost?"}]
    answer = chat(http, messages=[{"role": "user", "content": parts}], temperature=0.2, seed=7)
    assert text_of(answer) == text_of(chat(http))


def test_fields_that_ask_for_nothing_are_no_error(http: httpx.Client) -> None:
    chat(http, n=1, logprobs=False, tools=[], response_format={"type": "text"}, user="me", top_p=1)


async def test_220_streams_at_a_time(replica: Any) -> None:
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=replica.url, limits=limits, timeout=60, trust_env=False
    ) as client:

        async def tokens(number: int) -> int:
            messages = [{"role": "user", "content": f"Question {number}"}]
            body = {**ASK, "messages": messages, "stream": True, "max_tokens": 20}
            async with client.stream("POST", "/v1/chat/completions", json=body) as response:
                lines = [line async for line in response.aiter_lines() if line]
            assert lines[-1] == "data: [DONE]"
            return len(lines) - 3  # role, finish reason, [DONE]

        assert await asyncio.gather(*(tokens(n) for n in range(220))) == [20] * 220
