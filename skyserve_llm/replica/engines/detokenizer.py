"""From tokens to text, one by one. Pure: knows a decoding function and no tokenizer library.

A token may be a part of a character, and may decode otherwise after another one than alone (the
space before a word). So a window of recent tokens is decoded twice, without and with the newest,
and the difference is the new text; it is held back while it ends in an unfinished character. The
method of vLLM's ``detokenize_incrementally`` and of Hugging Face's text-generation-inference.
"""

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]

_UNFINISHED = "\ufffd"
# Tokens of the prompt that the first new one is decoded after (vLLM keeps 5).
_CONTEXT = 5


class Detokenizer:
    """The text of an answer to ``prompt``, token by token."""

    def __init__(self, decode: Decode, prompt: Sequence[int]) -> None:
        self._decode = decode
        self._window = list(prompt[-_CONTEXT:])
        self._told = len(self._window)
        """How many tokens of the window have been told already."""

    def feed(self, token: int) -> str:
        """The text that ``token`` completes, often one word, sometimes none."""
        self._window.append(token)
        text = self._untold()
        if not text or text.endswith(_UNFINISHED):
            return ""
        self._window, self._told = self._window[self._told :], len(self._window) - self._told
        return text

    def rest(self) -> str:
        """What was held back when the tokens ended."""
        return self._untold()

    def _untold(self) -> str:
        told = self._decode(self._window[: self._told])
        return self._decode(self._window)[len(told) :]
