"""An engine without a model: the timing of a forecast, and text that says it is simulated.

It shows how a service behaves before any GPU is paid for. The text of an answer depends on
the conversation before it alone, so a half-finished answer continued elsewhere goes on
exactly where it stopped.
"""

import argparse
import asyncio
import math
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from skyserve_llm.replica.argument_types import duration, whole_number
from skyserve_llm.replica.engines import prose
from skyserve_llm.replica.engines.base import (
    ChatMessage,
    Engine,
    FinishReason,
    Piece,
    Prompt,
    SamplingParams,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """A forecast in seconds: time to first token, and time per output token after it."""

    ttft_s: float
    tpot_s: float

    def deadline(self, token: int) -> float:
        """When a token is due after the start; counted from there, so no error adds up."""
        return self.ttft_s + token * self.tpot_s


class SimulatedEngine:
    """Up to ``max_num_seqs`` answers at a time; who comes later waits in line."""

    def __init__(self, *, timing: Timing, max_num_seqs: int, max_model_len: int) -> None:
        self._timing = timing
        self._slots = asyncio.Semaphore(max_num_seqs)
        self._max_model_len = max_model_len

    @property
    def max_model_len(self) -> int:
        return self._max_model_len

    async def load(self) -> None:
        """There is nothing to load."""

    def render_chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        add_generation_prompt: bool,
        continue_final_message: bool,
    ) -> Prompt:
        asked = messages[:-1] if continue_final_message else messages
        text = "".join(f"<|{message.role}|>\n{message.content}\n" for message in asked)
        if add_generation_prompt or continue_final_message:
            text += "<|assistant|>\n"
        said = messages[-1].content if continue_final_message else ""
        return Prompt(text=text, answer_so_far=said)

    def count_tokens(self, prompt: Prompt) -> int:
        return prose.count_tokens(prompt.text) + prose.count_tokens(prompt.answer_so_far)

    async def generate(
        self, prompt: Prompt, sampling: SamplingParams
    ) -> AsyncGenerator[Piece, None]:
        async with self._slots:
            start = time.monotonic()
            for index, piece in enumerate(_answer(prompt, sampling)):
                due = start + self._timing.deadline(index)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                yield piece

    async def close(self) -> None:
        """Nothing is held."""


def _answer(prompt: Prompt, sampling: SamplingParams) -> Iterator[Piece]:
    seed = prose.seed_of(prompt.text)
    first, offset = prose.position_after(seed, prompt.answer_so_far)
    natural_end = math.inf if sampling.ignore_eos else prose.natural_length(seed)
    if first >= natural_end:
        yield Piece(text="", tokens=0, finish_reason="stop")
        return
    stop = int(min(first + sampling.max_tokens, natural_end))
    reason: FinishReason = "stop" if stop == natural_end else "length"
    for index, text in enumerate(islice(prose.tokens(seed), first, stop), first):
        yield Piece(
            text=text[offset:] if index == first else text,
            finish_reason=reason if index + 1 == stop else None,
        )


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    """Flags of this engine; the last two are vLLM's."""
    parser.add_argument(
        "--ttft-ms",
        type=duration,
        default=50.0,
        metavar="MS",
        help="time to first token, as a plan forecasts it (default: 50)",
    )
    parser.add_argument(
        "--tpot-ms",
        type=duration,
        default=10.0,
        metavar="MS",
        help="time per output token after the first (default: 10)",
    )
    parser.add_argument(
        "--max-num-seqs",
        type=whole_number,
        default=256,
        metavar="N",
        help="answers at a time; further requests wait in line (default: 256)",
    )
    parser.add_argument(
        "--max-model-len",
        type=whole_number,
        default=8192,
        metavar="TOKENS",
        help="prompt and answer together (default: 8192)",
    )


def create(arguments: argparse.Namespace) -> Engine:
    """An engine from the flags of `add_arguments`."""
    return SimulatedEngine(
        timing=Timing(ttft_s=arguments.ttft_ms / 1000, tpot_s=arguments.tpot_ms / 1000),
        max_num_seqs=arguments.max_num_seqs,
        max_model_len=arguments.max_model_len,
    )
