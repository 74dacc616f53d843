"""What the app needs of an engine, and the values that pass between them.

An engine turns a prompt into pieces of text. It knows nothing of HTTP, of OpenAI's JSON or
of stop strings.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One turn of a conversation, its content flattened to text."""

    role: str
    content: str


class PromptError(ValueError):
    """A prompt that this model cannot be given; the text is for the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """``text`` is everything before the answer; ``answer_so_far`` is what is to be continued.

    ``rendered`` where a chat template wrote the text, special tokens included: a tokenizer must
    add none of its own.
    """

    text: str
    answer_so_far: str = ""
    rendered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """vLLM's names. ``seed`` None leaves the choice to the engine."""

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    ignore_eos: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The next text of an answer. ``tokens`` may be 0 where a piece only tells the end."""

    text: str
    tokens: int = 1
    finish_reason: FinishReason | None = None


class Engine(Protocol):
    """Makes tokens for many requests at once, on the event loop it is called from."""

    @property
    def max_model_len(self) -> int:
        """The most tokens that a prompt and its answer may have together."""

    async def load(self) -> None:
        """Get ready to generate, which may take minutes. Nothing below is called before."""

    def render_chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        add_generation_prompt: bool,
        continue_final_message: bool,
    ) -> Prompt:
        """A conversation as this model wants to read it.

        Raises:
            PromptError: a conversation that it cannot read.
        """

    def count_tokens(self, prompt: Prompt) -> int:
        """Tokens of the whole prompt, the answer so far included.

        Raises:
            PromptError: there is none.
        """

    def generate(self, prompt: Prompt, sampling: SamplingParams) -> AsyncGenerator[Piece, None]:
        """The answer piece by piece; the last piece, and no other, has a finish reason.

        Closing the generator gives its place free at once.
        """

    async def close(self) -> None:
        """Free what the engine holds."""
