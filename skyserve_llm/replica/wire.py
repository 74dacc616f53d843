"""OpenAI's answers, byte for byte: whole ones and the chunks of a stream.

Pure: text in, JSON out. Knows no engine and no HTTP.
"""

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from skyserve_llm.replica.engines.base import FinishReason

DONE = b"data: [DONE]\n\n"

Json = dict[str, Any]


def event(value: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


@dataclass(slots=True, kw_only=True)
class Usage:
    """Tokens read and made so far."""

    prompt_tokens: int
    completion_tokens: int = 0

    def to_json(self) -> Json:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One answer's envelope. ``include_usage`` puts OpenAI's ``usage: null`` into each chunk."""

    model: str
    include_usage: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    prefix: ClassVar[str]
    object: ClassVar[str]
    chunk_object: ClassVar[str]

    def opening(self) -> bytes:
        """What a stream begins with, before its first text."""
        return b""

    def text(self, text: str) -> bytes:
        """The next text of a stream."""
        return self._chunk([self._choice(self._delta(text), None)])

    def closing(self, reason: FinishReason, usage: Usage) -> bytes:
        """The end of a stream: the finish reason, the usage if asked for, ``[DONE]``."""
        end = self._chunk([self._choice(self._last_delta(), reason)])
        if self.include_usage:
            end += self._chunk([], usage)
        return end + DONE

    def whole(self, text: str, reason: FinishReason, usage: Usage) -> Json:
        """An answer that is no stream."""
        choices = [self._choice(self._whole_content(text), reason)]
        return {**self._envelope(self.object), "choices": choices, "usage": usage.to_json()}

    def _chunk(self, choices: list[Json], usage: Usage | None = None) -> bytes:
        value = {**self._envelope(self.chunk_object), "choices": choices}
        if self.include_usage:
            value["usage"] = usage.to_json() if usage else None
        return event(value)

    def _envelope(self, kind: str) -> Json:
        return {
            "id": f"{self.prefix}-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
        }

    def _choice(self, content: Json, reason: FinishReason | None) -> Json:
        return {"index": 0, **content, "logprobs": None, "finish_reason": reason}

    def _delta(self, text: str) -> Json:
        raise NotImplementedError

    def _last_delta(self) -> Json:
        raise NotImplementedError

    def _whole_content(self, text: str) -> Json:
        raise NotImplementedError


class ChatShape(Shape):
    """``/v1/chat/completions``: the role comes first, with the first token."""

    prefix = "chatcmpl"
    object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def opening(self) -> bytes:
        role = {"delta": {"role": "assistant", "content": ""}}
        return self._chunk([self._choice(role, None)])

    def _delta(self, text: str) -> Json:
        return {"delta": {"content": text}}

    def _last_delta(self) -> Json:
        return {"delta": {}}

    def _whole_content(self, text: str) -> Json:
        return {"message": {"role": "assistant", "content": text, "refusal": None}}


class CompletionShape(Shape):
    """``/v1/completions``."""

    prefix = "cmpl"
    object = "text_completion"
    chunk_object = "text_completion"

    def _delta(self, text: str) -> Json:
        return {"text": text}

    def _last_delta(self) -> Json:
        return {"text": ""}

    def _whole_content(self, text: str) -> Json:
        return {"text": text}
