"""The engine itself: a loaded model that answers several requests, each in a thread of its own.

transformers generates one sequence at a time and knows nothing of the others: requests share the
card, not a batch. That is slower than vLLM, and runs whatever transformers can load.
"""

import argparse
import threading
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
import torch
import transformers

from skyserve_llm.replica.engines.base import (
    ChatMessage,
    Engine,
    Piece,
    Prompt,
    PromptError,
    SamplingParams,
)
from skyserve_llm.replica.engines.detokenizer import Detokenizer
from skyserve_llm.replica.engines.transformers.loading import (
    Checkpoint,
    load_weights,
    read_checkpoint,
)
from skyserve_llm.replica.engines.transformers.sampling import Sampler
from skyserve_llm.replica.engines.workers import Emit, Workers, in_background
from skyserve_llm.replica.errors import StartError


def prepare(arguments: argparse.Namespace) -> Engine:
    """The engine that the command line asks for, its weights not loaded yet."""
    # Its warnings leave as JSON lines like everybody's, and no bars are drawn into a log.
    transformers.logging.disable_progress_bar()
    transformers.logging.disable_default_handler()
    transformers.logging.enable_propagation()
    template = _template(arguments.chat_template)
    return TransformersEngine(
        read_checkpoint(arguments), max_num_seqs=arguments.max_num_seqs, chat_template=template
    )


class TransformersEngine:
    """Up to ``max_num_seqs`` answers at a time; who comes later waits in line."""

    def __init__(
        self, checkpoint: Checkpoint, *, max_num_seqs: int, chat_template: str | None
    ) -> None:
        self._checkpoint = checkpoint
        self._tokenizer = checkpoint.tokenizer
        self._chat_template = chat_template
        self._workers = Workers(max_num_seqs)
        self._model: Any = None
        self._ends: Collection[int] = ()

    @property
    def max_model_len(self) -> int:
        return self._checkpoint.max_model_len

    async def load(self) -> None:
        self._model = await in_background(partial(load_weights, self._checkpoint))
        self._ends = _end_tokens(self._model, self._tokenizer)
        # Its defaults (a temperature, an end, a length) must not decide what a request left out.
        self._model.generation_config = transformers.GenerationConfig()
        _take_turns(self._model)

    def render_chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        add_generation_prompt: bool,
        continue_final_message: bool,
    ) -> Prompt:
        if not (self._chat_template or self._tokenizer.chat_template):
            raise PromptError(
                "This model has no chat template: ask /v1/completions, or start the replica with"
                " --chat-template FILE."
            )
        try:
            text = self._tokenizer.apply_chat_template(
                [asdict(message) for message in messages],
                chat_template=self._chat_template,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=continue_final_message,
            )
        except (jinja2.TemplateError, ValueError, TypeError) as error:
            raise PromptError(f"The model's chat template refuses this: {error}") from error
        return Prompt(text=text, rendered=True)

    def count_tokens(self, prompt: Prompt) -> int:
        return len(self._encode(prompt))

    async def generate(
        self, prompt: Prompt, sampling: SamplingParams
    ) -> AsyncGenerator[Piece, None]:
        # Encoded here, on the one thread of the loop: fast tokenizers may not be shared.
        answer = partial(self._answer, self._encode(prompt), sampling)
        async with aclosing(self._workers.stream(answer)) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        self._workers.close()

    def _encode(self, prompt: Prompt) -> list[int]:
        text = prompt.text + prompt.answer_so_far
        tokens: list[int] = self._tokenizer(
            text, add_special_tokens=not prompt.rendered, verbose=False
        )["input_ids"]
        if not tokens:
            raise PromptError("The prompt is empty.")
        return tokens

    def _answer(self, tokens: list[int], sampling: SamplingParams, emit: Emit) -> None:
        device = self._model.device
        watcher = _Watcher(
            Detokenizer(self._decode, tokens),
            emit,
            ends=() if sampling.ignore_eos else self._ends,
            max_tokens=sampling.max_tokens,
        )
        with torch.inference_mode():
            prompt = torch.tensor([tokens], device=device)
            self._model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=sampling.max_tokens,
                do_sample=False,
                pad_token_id=0,  # of no use for a single sequence, and missed with a warning
                logits_processor=[Sampler(sampling, device)],
                stopping_criteria=[watcher],
            )

    def _decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text


class _Watcher:
    """A stopping criterion that tells each token as it comes, and stops when nobody listens."""

    def __init__(
        self, detokenizer: Detokenizer, emit: Emit, *, ends: Collection[int], max_tokens: int
    ) -> None:
        self._detokenizer = detokenizer
        self._emit = emit
        self._ends = ends
        self._left = max_tokens

    def __deepcopy__(self, _memo: object) -> "_Watcher":
        return self  # transformers copies its criteria; the listener is one

    def __call__(self, input_ids: torch.Tensor, _scores: object, **_: object) -> torch.Tensor:
        token = int(input_ids[0, -1])
        self._left -= 1
        done = self._tell(token)
        return torch.tensor([done], device=input_ids.device)

    def _tell(self, token: int) -> bool:
        if token in self._ends:
            self._emit(Piece(text=self._detokenizer.rest(), finish_reason="stop"))
            return True
        text = self._detokenizer.feed(token)
        if self._left == 0:
            text += self._detokenizer.rest()
            self._emit(Piece(text=text, finish_reason="length"))
            return True
        return not self._emit(Piece(text=text))


def _take_turns(model: Any) -> None:
    """One step at a time: threads that step together fight over Python's lock, and all lose.

    Measured on an H200 with a model of phixtral's size in 4 bits: eight answers at once made
    10.8 tokens/s together without turns, and 13.5 with them; one alone makes 17.
    """
    turn = threading.Lock()
    model.register_forward_pre_hook(lambda *_: turn.acquire() and None)
    model.register_forward_hook(lambda *_: turn.release(), always_call=True)


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens that end an answer: the model's, and the one that its tokenizer ends a text with."""
    # Foreign code may have come without a generation config: then its config names the end.
    named = getattr(getattr(model, "generation_config", model.config), "eos_token_id", None)
    ends = named if isinstance(named, list) else [named]
    return frozenset(end for end in [*ends, tokenizer.eos_token_id] if end is not None)


def _template(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"cannot read the chat template {file}: {error}") from error
