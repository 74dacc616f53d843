"""The OpenAI subset for engines that have no server of their own.

``/v1/models``, ``/v1/chat/completions`` and ``/v1/completions``, streaming and not, for one
model or several. Keys, health, metrics and logs are the gate's; making tokens is the engine's.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import pydantic
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from skyserve_llm.replica import answer, api_errors, protocol
from skyserve_llm.replica.answer import Question
from skyserve_llm.replica.api_errors import ApiError
from skyserve_llm.replica.asgi import ClientGoneError, until_disconnect
from skyserve_llm.replica.connection import EventStream
from skyserve_llm.replica.engines.base import Engine, Prompt, PromptError, SamplingParams
from skyserve_llm.replica.protocol import ChatRequest, CompletionRequest
from skyserve_llm.replica.wire import ChatShape, CompletionShape, Json, Shape, Usage

Body = TypeVar("Body", bound=protocol.Request)

# nginx's number for a client that closed the connection; it is logged, nobody reads it.
_CLIENT_CLOSED_REQUEST = 499


@dataclass(slots=True, kw_only=True)
class ServedModel:
    """A model under the name that clients ask for. ``root`` is where its weights come from."""

    name: str
    root: str
    engine: Engine
    created: int = field(default_factory=lambda: int(time.time()))
    loaded: bool = False

    def card(self) -> Json:
        """What ``/v1/models`` tells of it."""
        return {
            "id": self.name,
            "object": "model",
            "created": self.created,
            "owned_by": "llmbudget",
            "root": self.root,
            "max_model_len": self.engine.max_model_len,
        }


def build_app(models: Sequence[ServedModel], *, on_failure: Callable[[Exception], None]) -> FastAPI:
    """An app that answers for ``models``; a request's ``model`` chooses between them.

    They are loaded one after the other once the server has started, so that health can tell of
    it; one that cannot be loaded goes to ``on_failure``.
    """

    async def load() -> None:
        for served in models:
            try:
                await served.engine.load()
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody can be served
                on_failure(error)
                return
            served.loaded = True

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        loading = asyncio.create_task(load(), name="loading")
        yield
        loading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loading
        for served in models:
            await served.engine.close()

    # No documentation routes: a replica's port is open to the world.
    app = FastAPI(lifespan=lifespan, openapi_url=None, redirect_slashes=False)
    api_errors.install(app)

    @app.get("/v1/models")
    async def list_models() -> Json:
        return {"object": "list", "data": [served.card() for served in models]}

    @app.get("/v1/models/{name:path}")
    async def one_model(name: str) -> Json:
        return _find(models, name).card()

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = await _read(request, ChatRequest)
        served = _ready(models, body.model)
        with _prompt_errors("messages"):
            prompt = served.engine.render_chat(
                [message.to_engine() for message in body.messages],
                add_generation_prompt=body.add_generation_prompt,
                continue_final_message=body.continue_final_message,
            )
        shape = ChatShape(model=served.name, include_usage=body.include_usage)
        return await _answer(request, served.engine, body, prompt, shape)

    @app.post("/v1/completions")
    async def complete(request: Request) -> Response:
        body = await _read(request, CompletionRequest)
        served = _ready(models, body.model)
        shape = CompletionShape(model=served.name, include_usage=body.include_usage)
        return await _answer(request, served.engine, body, Prompt(text=body.prompt), shape)

    return app


async def _read(request: Request, kind: type[Body]) -> Body:
    # Not as a parameter of the route: FastAPI would refuse a body without its content type,
    # which is how curl sends one, and would answer in a shape of its own.
    try:
        return kind.model_validate_json(await request.body())
    except pydantic.ValidationError as error:
        raise api_errors.bad_field(error) from None


def _find(models: Sequence[ServedModel], asked: str | None) -> ServedModel:
    """The model of that name; without one, the only one there is, as vLLM has it."""
    names = ", ".join(f"'{served.name}'" for served in models)
    if asked is None:
        if len(models) > 1:
            raise ApiError(400, f"model: which one? {names} are served.", param="model")
        return models[0]
    found = next((served for served in models if served.name == asked), None)
    if found is None:
        verb = "are" if len(models) > 1 else "is"
        raise ApiError(
            404,
            f"The model '{asked}' does not exist here; {names} {verb} served.",
            param="model",
            code="model_not_found",
        )
    return found


def _ready(models: Sequence[ServedModel], asked: str | None) -> ServedModel:
    served = _find(models, asked)
    if not served.loaded:
        raise ApiError(503, f"The model '{served.name}' is being loaded.", code="model_loading")
    return served


@contextlib.contextmanager
def _prompt_errors(param: str) -> Iterator[None]:
    try:
        yield
    except PromptError as error:
        raise ApiError(400, f"{param}: {error}", param=param) from error


async def _answer(
    request: Request, engine: Engine, body: protocol.Request, prompt: Prompt, shape: Shape
) -> Response:
    with _prompt_errors("prompt"):
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
