"""A chat class of the user's own: a Python file with a class that has a method yielding text.

    class Echo:
        def chat(self, messages, max_tokens=256):
            for word in messages[-1]["content"].split():
                yield word + " "

The method is given the messages as OpenAI's dictionaries and, of `_SAMPLING`, what it has
parameters for; the prompt of a completion arrives as one message of the user. Every piece that
it yields counts as a token, and so does every word of a prompt, unless the class has a method
``count_tokens(text)``. Knows no inference library.
"""

import argparse
import importlib.util
import inspect
import json
import sys
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing, closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from skyserve_llm.replica.argument_types import whole_number
from skyserve_llm.replica.engines.base import ChatMessage, Engine, Piece, Prompt, SamplingParams
from skyserve_llm.replica.engines.workers import Emit, Workers, in_background
from skyserve_llm.replica.errors import StartError

_SAMPLING: dict[str, Callable[[SamplingParams], object]] = {
    "max_tokens": lambda sampling: sampling.max_tokens,
    "max_new_tokens": lambda sampling: sampling.max_tokens,  # transformers' name for it
    "temperature": lambda sampling: sampling.temperature,
    "top_p": lambda sampling: sampling.top_p,
    "seed": lambda sampling: sampling.seed,
}
_MODULE = "llmbudget_own_class"


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    """Flags of this engine."""
    add = parser.add_argument
    add("--model-path", type=Path, metavar="FILE", help="Python file that holds the class")
    add("--model-cls", metavar="NAME", help="the class, made once when the replica starts")
    add("--method", default="chat", metavar="NAME", help="yields the answer (default: chat)")
    add(
        "--init-kwargs",
        type=_keywords,
        default={},
        metavar="JSON",
        help="arguments that the class is made with (default: none)",
    )
    add(
        "--max-num-seqs",
        type=whole_number,
        default=1,
        metavar="N",
        help="answers at a time; further requests wait in line (default: 1)",
    )
    add(
        "--max-model-len",
        type=whole_number,
        default=8192,
        metavar="TOKENS",
        help="prompt and answer together (default: 8192)",
    )


def create(arguments: argparse.Namespace) -> Engine:
    """An engine from the flags of `add_arguments`; the class is read, and not made yet."""
    if arguments.model_path is None or not arguments.model_cls:
        raise StartError(
            "the python engine needs a class to run",
            hint="--model-path FILE --model-cls NAME: a Python file and a class in it",
        )
    chat_class = _find_class(arguments.model_path, arguments.model_cls)
    _check_method(chat_class, arguments.method)
    return OwnClassEngine(
        partial(chat_class, **arguments.init_kwargs),
        method=arguments.method,
        max_num_seqs=arguments.max_num_seqs,
        max_model_len=arguments.max_model_len,
    )


class OwnClassEngine:
    """Up to ``max_num_seqs`` calls of the method at a time, each in a thread of its own."""

    def __init__(
        self, make: partial[Any], *, method: str, max_num_seqs: int, max_model_len: int
    ) -> None:
        self._make = make
        self._method = method
        self._workers = Workers(max_num_seqs)
        self._max_model_len = max_model_len
        self._instance: Any = None

    @property
    def max_model_len(self) -> int:
        return self._max_model_len

    async def load(self) -> None:
        try:
            self._instance = await in_background(self._make)
        except Exception as error:
            name = self._make.func.__name__
            raise StartError(
                f"class {name} cannot be made: {type(error).__name__}: {error}"
            ) from error

    def render_chat(
        self,
        messages: Sequence[ChatMessage],
        *,
        add_generation_prompt: bool,
        continue_final_message: bool,
    ) -> Prompt:
        # The method reads messages and no template: they are the prompt, written down. What is
        # to be continued is the last of them.
        said = [asdict(message) for message in messages]
        return Prompt(text=json.dumps(said, ensure_ascii=False), rendered=True)

    def count_tokens(self, prompt: Prompt) -> int:
        count = self._own_count() or _words
        return sum(count(message["content"]) for message in _messages(prompt))

    async def generate(
        self, prompt: Prompt, sampling: SamplingParams
    ) -> AsyncGenerator[Piece, None]:
        method = getattr(self._instance, self._method)
        wanted = inspect.signature(method).parameters
        options = {name: value(sampling) for name, value in _SAMPLING.items() if name in wanted}
        ask = partial(method, _messages(prompt), **options)
        answer = partial(self._answer, ask, sampling.max_tokens)
        async with aclosing(self._workers.stream(answer)) as pieces:
            async for piece in pieces:
                yield piece

    async def close(self) -> None:
        self._workers.close()

    def _answer(self, ask: Callable[[], Any], max_tokens: int, emit: Emit) -> None:
        count = self._own_count()
        with closing(ask()) as texts:
            for text in texts:
                tokens = count(text) if count else 1
                max_tokens -= tokens
                if max_tokens <= 0:
                    emit(Piece(text=text, tokens=tokens, finish_reason="length"))
                    return
                if not emit(Piece(text=text, tokens=tokens)):
                    return
        emit(Piece(text="", tokens=0, finish_reason="stop"))

    def _own_count(self) -> Callable[[str], int] | None:
        return getattr(self._instance, "count_tokens", None)


def _messages(prompt: Prompt) -> list[dict[str, str]]:
    if prompt.rendered:
        messages: list[dict[str, str]] = json.loads(prompt.text)
        return messages
    return [{"role": "user", "content": prompt.text}]


def _words(text: str) -> int:
    return len(text.split())


def _find_class(path: Path, name: str) -> type:
    if not path.is_file():
        raise StartError(f"--model-path {path} is not a file")
    spec = importlib.util.spec_from_file_location(f"{_MODULE}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise StartError(f"--model-path {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look a class's module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise StartError(
            f"{path} cannot be imported: {type(error).__name__}: {error}",
            hint="the file is brought alone; what it imports must be installed"
            if isinstance(error, ImportError)
            else None,
        ) from error
    found = getattr(module, name, None)
    if not inspect.isclass(found):
        classes = _names(
            key
            for key, value in vars(module).items()
            if getattr(value, "__module__", 0) == spec.name
        )
        raise StartError(f"{path} has no class {name}", hint=f"it has {classes}")
    return found


def _check_method(chat_class: type, name: str) -> None:
    method = getattr(chat_class, name, None)
    if not inspect.isgeneratorfunction(method):
        generators = _names(
            key for key, value in vars(chat_class).items() if inspect.isgeneratorfunction(value)
        )
        raise StartError(
            f"{chat_class.__name__}.{name} is not a method that yields text",
            hint=f"--method names one; {chat_class.__name__} has {generators}",
        )


def _names(found: Iterable[str]) -> str:
    return ", ".join(sorted(found)) or "none"


def _keywords(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"'{text}' is not a JSON object")
    return value
