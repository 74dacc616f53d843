"""The OpenAI subset for engines that have no server of their own.

``/v1/models``, ``/v1/chat/completions`` and ``/v1/completions``, streaming and not. Keys,
health, metrics and logs are the gate's; making tokens is the engine's.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import pydantic
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from skyserve_llm.replica import answer, api_errors, protocol
from skyserve_llm.replica.answer import Question
from skyserve_llm.replica.api_errors import ApiError
from skyserve_llm.replica.connection import ClientGoneError, EventStream, until_disconnect
from skyserve_llm.replica.engines.base import Engine, Prompt, SamplingParams
from skyserve_llm.replica.protocol import ChatRequest, CompletionRequest
from skyserve_llm.replica.wire import ChatShape, CompletionShape, Json, Shape, Usage

Body = TypeVar("Body", bound=protocol.Request)

# nginx's number for a client that closed the connection; it is logged, nobody reads it.
_CLIENT_CLOSED_REQUEST = 499


def build_app(engine: Engine, *, model: str, served_model_name: str) -> FastAPI:
    """An app that answers for ``engine`` under ``served_model_name``."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.close()

    # No documentation routes: a replica's port is open to the world.
    app = FastAPI(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    api_errors.install(app)
    card = {
        "id": served_model_name,
        "object": "model",
        "created": int(time.time()),
        "owned_by": "llmbudget",
        "root": model,
        "max_model_len": engine.max_model_len,
    }

    @app.get("/v1/models")
    async def models() -> Json:
        return {"object": "list", "data": [card]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> Json:
        _check_model(name, served_model_name)
        return card

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = await _read(request, ChatRequest)
        _check_model(body.model, served_model_name)
        prompt = engine.render_chat(
            [message.to_engine() for message in body.messages],
            add_generation_prompt=body.add_generation_prompt,
            continue_final_message=body.continue_final_message,
        )
        shape = ChatShape(model=served_model_name, include_usage=body.include_usage)
        return await _answer(request, engine, body, prompt, shape)

    @app.post("/v1/completions")
    async def complete(request: Request) -> Response:
        body = await _read(request, CompletionRequest)
        _check_model(body.model, served_model_name)
        shape = CompletionShape(model=served_model_name, include_usage=body.include_usage)
        return await _answer(request, engine, body, Prompt(text=body.prompt), shape)

    return app


async def _read(request: Request, kind: type[Body]) -> Body:
    # Not as a parameter of the route: FastAPI would refuse a body without its content type,
    # which is how curl sends one, and would answer in a shape of its own.
    try:
        return kind.model_validate_json(await request.body())
    except pydantic.ValidationError as error:
        raise api_errors.bad_field(error) from None


def _check_model(asked: str | None, served: str) -> None:
    if asked is not None and asked != served:
        raise ApiError(
            404,
            f"The model '{asked}' does not exist here; '{served}' is served.",
            param="model",
            code="model_not_found",
        )


async def _answer(
    request: Request, engine: Engine, body: protocol.Request, prompt: Prompt, shape: Shape
) -> Response:
    usage = Usage(prompt_tokens=engine.count_tokens(prompt))
    sampling = SamplingParams(
        max_tokens=_token_limit(body.token_limit, usage.prompt_tokens, engine.max_model_len),
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        seed=body.seed,
        ignore_eos=body.ignore_eos,
    )
    question = Question(prompt=prompt, sampling=sampling, stop=body.stop)
    if body.stream:
        return EventStream(answer.events(engine, question, shape, usage))
    work = answer.whole(engine, question, shape, usage)
    try:
        return JSONResponse(await until_disconnect(request.receive, work))
    except ClientGoneError:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)


def _token_limit(asked: int | None, prompt_tokens: int, max_model_len: int) -> int:
    """The most tokens an answer may have; an error where it does not fit the context."""
    room = max_model_len - prompt_tokens
    wanted = 1 if asked is None else asked
    if wanted > room:
        raise ApiError(
            400,
            f"This model's maximum context length is {max_model_len} tokens. However, you"
            f" requested {prompt_tokens + wanted} tokens ({prompt_tokens} in the prompt,"
            f" {wanted} in the answer). Please reduce the length of either.",
            code="context_length_exceeded",
        )
    return room if asked is None else asked
