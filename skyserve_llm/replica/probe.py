"""Asking an engine for one token, through its own OpenAI server. Knows ASGI, no engine."""

import json

from skyserve_llm.replica.asgi import ASGIApp, Scope, call


class ProbeError(Exception):
    """The engine gave no token. The text is shown to anyone, so it quotes no answer."""


async def ask_for_token(app: ASGIApp, base: Scope) -> None:
    """One tiny request to each model through ``app``, which may be any OpenAI server.

    Raises:
        ProbeError: the server has no model, or an answer carries no token.
    """
    for model in await _served_models(app, base):
        await _ask_one(app, base, model)


async def _ask_one(app: ASGIApp, base: Scope, model: str) -> None:
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


async def _served_models(app: ASGIApp, base: Scope) -> list[str]:
    answer = await call(app, "GET", "/v1/models", base=base)
    if answer.status != 200:
        raise ProbeError(f"asking for the model's name was answered {answer.status}")
    try:
        cards = json.loads(answer.body)["data"]
        # vLLM lists adapters too, each with the model that it needs; that one speaks for them.
        names = [str(card["id"]) for card in cards if not card.get("parent")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProbeError("the list of models cannot be read") from error
    if not names:
        raise ProbeError("the list of models is empty")
    return names
