"""What a client may ask: OpenAI's request bodies, as far as this server honours them.

Pure: JSON in, checked values or an error out. A field that would change the answer's shape
and is not honoured is refused, not overlooked; all others that are unknown are ignored.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from skyserve_llm.replica.engines.base import ChatMessage

# OpenAI's default for the older of its two routes; a chat answer has no limit of its own.
_COMPLETION_MAX_TOKENS = 16


class FieldError(ValueError):
    """What is wrong with a field that can only be judged beside others."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


def _text_of(content: object) -> object:
    """A message's content, which may come in parts, as one text."""
    if not isinstance(content, list):
        return content
    if not all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        raise ValueError("only parts of type 'text' are supported")
    texts = [part.get("text") for part in content]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a part of type 'text' needs a string 'text'")
    return "".join(texts)


def _single_prompt(prompt: object) -> object:
    if isinstance(prompt, list):
        if len(prompt) != 1 or not isinstance(prompt[0], str):
            raise ValueError("one prompt of text is supported, not several and not token ids")
        return prompt[0]
    return prompt


def _only_one(n: int | None) -> int | None:
    if n not in (None, 1):
        raise ValueError("one answer a request is supported, n=1")
    return n


def _as_list(stop: object) -> object:
    if stop is None:
        return ()
    return (stop,) if isinstance(stop, str) else stop


StopString = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


class Message(BaseModel):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str | None, BeforeValidator(_text_of)] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.content is None and self.role != "assistant":
            raise ValueError(f"a message of role '{self.role}' needs content")
        return self

    def to_engine(self) -> ChatMessage:
        return ChatMessage(role=self.role, content=self.content or "")


class StreamOptions(BaseModel):
    """What a stream carries besides its text."""

    include_usage: bool = False


class Request(BaseModel):
    """What both routes share. ``model`` None means the one that is served, as vLLM has it."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    model: str | None = None
    max_tokens: Count | None = None
    stop: Annotated[tuple[StopString, ...], BeforeValidator(_as_list)] = ()
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Annotated[int | None, AfterValidator(_only_one)] = 1
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int | None = None
    ignore_eos: bool = False

    @property
    def token_limit(self) -> int | None:
        """The most tokens the client wants; None for as many as there is room for."""
        return self.max_tokens

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    @model_validator(mode="after")
    def _honest(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise FieldError("stream_options", "only allowed with stream=true")
        for name, value in (self.model_extra or {}).items():
            if name in _NOT_HONOURED and value not in _NOT_HONOURED[name]:
                raise FieldError(name, "not supported by this server")
        return self


# Fields that would change the shape of the answer, each with the values that ask for nothing.
_NOTHING: tuple[Any, ...] = (None, False)
_NOT_HONOURED: dict[str, tuple[Any, ...]] = {
    "audio": _NOTHING,
    "best_of": (None, 1),
    "echo": _NOTHING,
    "functions": (None, []),
    "logprobs": _NOTHING,
    "prompt_logprobs": _NOTHING,
    "response_format": (None, {"type": "text"}),
    "suffix": (None, ""),
    "tools": (None, []),
    "top_logprobs": _NOTHING,
}


class ChatRequest(Request):
    """``POST /v1/chat/completions``. The last two fields are vLLM's."""

    messages: Annotated[tuple[Message, ...], Field(min_length=1)]
    max_completion_tokens: Count | None = None
    add_generation_prompt: bool = True
    continue_final_message: bool = False

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @model_validator(mode="after")
    def _continues_an_answer(self) -> Self:
        if not self.continue_final_message:
            return self
        if self.add_generation_prompt:
            raise FieldError("continue_final_message", "needs add_generation_prompt=false")
        if self.messages[-1].role != "assistant":
            raise FieldError("continue_final_message", "the last message must be the assistant's")
        return self


class CompletionRequest(Request):
    """``POST /v1/completions``."""

    prompt: Annotated[str, BeforeValidator(_single_prompt)]

    @property
    def token_limit(self) -> int | None:
        return _COMPLETION_MAX_TOKENS if self.max_tokens is None else self.max_tokens
