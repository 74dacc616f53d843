"""What the OpenAI subset refuses, and how it says so, over a real socket."""

from typing import Any

import httpx
import pytest

MODEL = "org/model"
ASK = {"model": MODEL, "messages": [{"role": "user", "content": "What does it cost?"}]}
COMPLETE = {"model": MODEL, "prompt": "It costs", "max_tokens": 40}
IMAGE = {"type": "image_url", "image_url": {"url": "x"}}
SAID = {"role": "assistant", "content": "So"}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"stop": [""]}, "stop.0"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages.0.content"),
        ({"messages": None}, "messages"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"continue_final_message": True}, "continue_final_message"),
        (
            {"continue_final_message": True, "add_generation_prompt": False},
            "continue_final_message",
        ),
        (
            {"continue_final_message": True, "messages": [*ASK["messages"], SAID]},
            "continue_final_message",
        ),
    ],
)
def test_a_wrong_field_is_named(http: httpx.Client, fields: dict[str, Any], param: str) -> None:
    response = http.post("/v1/chat/completions", json={**ASK, **fields})
    assert response.status_code == 400
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["message"].startswith(f"{param}: ")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"messages": "\\ud800"}'])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_a_body_that_is_no_object_is_an_error(http: httpx.Client, path: str, body: bytes) -> None:
    response = http.post(path, content=body)
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("prompt", [None, ["a", "b"], [1, 2], [], 7])
def test_a_prompt_is_one_text(http: httpx.Client, prompt: object) -> None:
    response = http.post("/v1/completions", json={**COMPLETE, "prompt": prompt})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "prompt"


def test_an_unknown_model(http: httpx.Client) -> None:
    response = http.post("/v1/chat/completions", json={**ASK, "model": "gpt-9"})
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert MODEL in error["message"]


@pytest.mark.parametrize("fields", [{"max_tokens": 2000}, {"prompt": "word " * 2000}])
def test_more_than_the_context_holds(http: httpx.Client, fields: dict[str, Any]) -> None:
    response = http.post("/v1/completions", json={**COMPLETE, **fields})
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert "2000 tokens" in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/embeddings", 404),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
        ("POST", "/v1/models", 405),
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/health", 405),
        ("DELETE", "/metrics", 405),
    ],
)
def test_unknown_places(http: httpx.Client, method: str, path: str, status: int) -> None:
    response = http.request(method, path)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
