"""Asking an engine for one token, through its own OpenAI server. Knows ASGI, no engine."""

import json

from skyserve_llm.replica.asgi import ASGIApp, Scope, call


class ProbeError(Exception):
    """The engine gave no token. The text is shown to anyone, so it quotes no answer."""


async def ask_for_token(app: ASGIApp, base: Scope) -> None:
    """One tiny request through ``app``, which may be any OpenAI server.

    Raises:
        ProbeError: the server has no model, or its answer carries no token.
    """
    model = await _served_model(app, base)
    value = {"model": model, "prompt": "Hello", "max_tokens": 1, "temperature": 0}
    answer = await call(app, "POST", "/v1/completions", value=value, base=base)
    if answer.status != 200:
        raise ProbeError(f"asking for a token was answered {answer.status}")
    try:
        tokens = json.loads(answer.body)["usage"]["completion_tokens"]
    except (ValueError, KeyError, TypeError) as error:
        raise ProbeError("the answer to asking for a token cannot be read") from error
    if not tokens:
        raise ProbeError("the engine answered without a token")


async def _served_model(app: ASGIApp, base: Scope) -> str:
    answer = await call(app, "GET", "/v1/models", base=base)
    if answer.status != 200:
        raise ProbeError(f"asking for the model's name was answered {answer.status}")
    try:
        return str(json.loads(answer.body)["data"][0]["id"])
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ProbeError("the list of models cannot be read") from error
