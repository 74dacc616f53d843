"""The text a simulated engine answers with: endless, plain English, the same for a seed.

Pure: token i is a function of the seed and i alone, whatever was asked for before. Knows
nothing of prompts, timing or requests.
"""

import hashlib
import re
from collections.abc import Iterator
from itertools import count

# A word with the space before it, in parts of at most 8 letters, or one sign: near enough
# to what a real tokenizer makes of English.
_TOKEN = re.compile(r"\s*(?:\w{1,8}|[^\w\s])|\s+")

OPENING = "[simulated] No model wrote this text: it only stands in for an answer."

_SUBJECTS = (
    "The planner", "A small replica", "The load balancer", "An idle machine", "The cheapest offer",
    "A patient client", "The second region", "A spot machine", "The monthly bill", "One more token",
    "The warm cache", "A careful engineer", "The readiness probe", "An honest estimate",
    "The longest prompt", "A quiet night",
)  # fmt: skip
_VERBS = (
    "costs less than", "waits for", "makes room for", "answers", "is measured against",
    "takes the place of", "arrives before", "keeps pace with", "learns from", "is paid for by",
    "stands beside", "outlives", "depends on", "is counted with", "follows", "helps",
)  # fmt: skip
_OBJECTS = (
    "the next request", "a full queue", "the price of an hour", "the last zone on the list",
    "every open stream", "the memory that is left", "a slower card", "the plan of last week",
    "the first byte", "a machine that was taken away", "the whole budget", "the evening peak",
    "a longer context", "the same question", "two smaller ones", "the weights on disk",
)  # fmt: skip
_TAILS = (
    "", " most of the time", " when the price falls", " without a word", " in every region",
    " before the month ends", " as long as it is needed", " and nobody notices",
    " once the model is loaded", ", which is what was asked for", " for a few cents",
    " under steady load", " after a short pause", ", or so the numbers say", " at half the price",
    " until the stream is done",
)  # fmt: skip

_SENTENCES_AT_LEAST = 3
_SENTENCES_SPREAD = 10


def seed_of(text: str) -> bytes:
    """A seed for everything that was said before the answer."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def count_tokens(text: str) -> int:
    """Tokens of any text."""
    return sum(1 for _ in _TOKEN.finditer(text))


def natural_length(seed: bytes) -> int:
    """After how many tokens an answer ends by itself, at the end of a sentence."""
    sentences = _SENTENCES_AT_LEAST + seed[0] % _SENTENCES_SPREAD
    return sum(count_tokens(_sentence(seed, index)) for index in range(sentences))


def tokens(seed: bytes) -> Iterator[str]:
    """Token 0, 1, 2, … without end."""
    for index in count():
        yield from _TOKEN.findall(_sentence(seed, index))


def position_after(seed: bytes, said: str) -> tuple[int, int]:
    """Where an answer that already says ``said`` goes on: token, and characters into it.

    Text that is not the beginning of this answer counts by its length in tokens.
    """
    at = 0
    for index, token in enumerate(tokens(seed)):
        if not said.startswith(token, at):
            rest = said[at:]
            return (index, len(rest)) if token.startswith(rest) else (count_tokens(said), 0)
        at += len(token)
    raise AssertionError("tokens() never ends")


def _sentence(seed: bytes, index: int) -> str:
    if index == 0:
        return OPENING
    dice = hashlib.sha256(seed + index.to_bytes(8)).digest()
    subject, verb, thing, tail = (
        words[die % len(words)]
        for words, die in zip((_SUBJECTS, _VERBS, _OBJECTS, _TAILS), dice, strict=False)
    )
    return f" {subject} {verb} {thing}{tail}."
