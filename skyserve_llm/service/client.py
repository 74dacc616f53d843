"""A streaming chat client for a service's endpoint: any OpenAI-compatible server.

Yields what the server sends as it comes. Knows HTTP and the wire format, no backend.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from httpx_sse import SSEError, connect_sse

from skyserve_llm.errors import BackendError

REPLICA_HEADER = "X-Llmbudget-Replica"

CONNECT_TIMEOUT_SECONDS = 10.0
READ_TIMEOUT_SECONDS = 180.0
"""Longer than SkyServe's own stream timeout (120 s), so that its error is the one seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatDelta:
    """A piece of the answer; ``replica`` says who wrote it, where the server tells."""

    text: str
    replica: str | None
    finish_reason: str | None


Message = dict[str, str]


def served_model(endpoint: str, *, api_key: str | None) -> str:
    """The name under which the service serves its model (``GET /v1/models``)."""
    with _client(endpoint, api_key) as client:
        try:
            response = client.get("/v1/models")
        except httpx.HTTPError as error:
            raise _unreachable(endpoint, error) from error
        if response.is_error:
            raise _refused(response.status_code, response.text)
        try:
            return str(response.json()["data"][0]["id"])
        except (ValueError, LookupError, TypeError) as error:
            raise BackendError(f"{endpoint}/v1/models does not list a model") from error


def stream_chat(
    endpoint: str,
    model: str,
    messages: Sequence[Message],
    *,
    api_key: str | None,
    max_tokens: int | None = None,
) -> Iterator[ChatDelta]:
    """Stream the answer to ``messages``.

    Raises:
        BackendError: not reachable, refused, or the stream broke before its ``[DONE]``.
    """
    body: dict[str, Any] = {"model": model, "messages": list(messages), "stream": True}
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    with _client(endpoint, api_key) as client:
        try:
            with connect_sse(client, "POST", "/v1/chat/completions", json=body) as source:
                if source.response.is_error:
                    raise _refused(source.response.status_code, source.response.read().decode())
                replica = source.response.headers.get(REPLICA_HEADER)
                for event in source.iter_sse():
                    if event.data == "[DONE]":
                        return
                    yield _delta(event.data, replica)
        except (httpx.HTTPError, SSEError) as error:
            raise _unreachable(endpoint, error) from error
    raise BackendError(
        "the stream ended in the middle of the answer",
        hint="the replica was lost; ask again, another one answers",
    )


def _delta(data: str, replica: str | None) -> ChatDelta:
    try:
        chunk = json.loads(data)
        if "error" in chunk:
            raise BackendError(str(chunk["error"].get("message", chunk["error"])))
        choices = chunk["choices"]
        if not choices:  # the usage chunk
            return ChatDelta(text="", replica=replica, finish_reason=None)
        return ChatDelta(
            text=choices[0]["delta"].get("content") or "",
            replica=replica,
            finish_reason=choices[0].get("finish_reason"),
        )
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise BackendError(f"not an OpenAI stream: {data[:80]!r}") from error


def _client(endpoint: str, api_key: str | None) -> httpx.Client:
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    timeout = httpx.Timeout(READ_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
    return httpx.Client(base_url=endpoint, headers=headers, timeout=timeout)


def _unreachable(endpoint: str, error: Exception) -> BackendError:
    return BackendError(
        f"{endpoint} does not answer: {str(error) or type(error).__name__}",
        hint="`llmbudget status` shows whether a replica is ready",
    )


def _refused(status: int, text: str) -> BackendError:
    try:
        message = json.loads(text)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        message = text.strip().splitlines()[0][:200] if text.strip() else "no reason given"
    hint = None
    if status == httpx.codes.UNAUTHORIZED:
        hint = "set LLMBUDGET_API_KEY to the service's key"
    elif status == httpx.codes.SERVICE_UNAVAILABLE:
        hint = "no replica is ready yet; `llmbudget status` shows them"
    return BackendError(f"the service answered {status}: {message}", hint=hint)
