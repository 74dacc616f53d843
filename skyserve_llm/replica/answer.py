"""From an engine's pieces to an answer: stop strings, usage, a stream's events.

Knows engines by their protocol and answers by their `wire` shape; knows no HTTP.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from skyserve_llm.replica.asgi import error_body
from skyserve_llm.replica.engines.base import Engine, FinishReason, Piece, Prompt, SamplingParams
from skyserve_llm.replica.wire import Json, Shape, Usage, event


class StopCutter:
    """Cuts a text at the first stop string to be complete, which it leaves out.

    Text that may be the beginning of one is held back until that is decided.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = stop
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """The text that is now known to belong to the answer."""
        text = self._held + text
        ends = [(at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0]
        if ends:
            self.found, self._held = True, ""
            return text[: min(ends)[1]]
        keep = max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """What was held back when the text ended."""
        return self._held


def _overlap(text: str, stop: str) -> int:
    """How much of the end of ``text`` is a beginning of ``stop``."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that decides an answer."""

    prompt: Prompt
    sampling: SamplingParams
    stop: Sequence[str] = ()


async def cut_pieces(engine: Engine, question: Question) -> AsyncGenerator[Piece, None]:
    """The engine's pieces up to a stop string; its place is given free when this is closed."""
    cutter = StopCutter(question.stop)
    async with aclosing(engine.generate(question.prompt, question.sampling)) as pieces:
        async for piece in pieces:
            text = cutter.feed(piece.text)
            if cutter.found:
                yield Piece(text=text, tokens=piece.tokens, finish_reason="stop")
                return
            if piece.finish_reason is not None:
                text += cutter.rest()
            yield Piece(text=text, tokens=piece.tokens, finish_reason=piece.finish_reason)


async def whole(engine: Engine, question: Question, shape: Shape, usage: Usage) -> Json:
    """The answer in one."""
    text, reason = "", None
    async with aclosing(cut_pieces(engine, question)) as pieces:
        async for piece in pieces:
            text += piece.text
            usage.completion_tokens += piece.tokens
            reason = piece.finish_reason
    return shape.whole(text, _ended(reason), usage)


async def events(
    engine: Engine, question: Question, shape: Shape, usage: Usage
) -> AsyncGenerator[bytes, None]:
    """The answer as a stream of server-sent events, one a token where it has text."""
    opening, reason = shape.opening(), None
    try:
        async with aclosing(cut_pieces(engine, question)) as pieces:
            async for piece in pieces:
                usage.completion_tokens += piece.tokens
                reason = piece.finish_reason
                if piece.text or opening:
                    yield opening + (shape.text(piece.text) if piece.text else b"")
                    opening = b""
        end = _ended(reason)
    except Exception:
        # The status has left already: the client learns it from the stream, which then
        # ends without [DONE]; the gate learns it from the error.
        yield event(error_body("The engine failed.", kind="server_error"))
        raise
    yield shape.closing(end, usage)


def _ended(reason: FinishReason | None) -> FinishReason:
    if reason is None:
        raise RuntimeError("the engine ended an answer without a finish reason")
    return reason
