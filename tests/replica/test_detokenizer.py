"""Tokens become text one by one, and together they are what all of them decode to."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.replica.engines.detokenizer import Detokenizer


def from_bytes(tokens: Sequence[int]) -> str:
    """A tokenizer whose tokens are bytes: characters come in up to four of them."""
    return bytes(tokens).decode("utf-8", "replace")


WORDS = ("▁a", "▁the", "b", "▁", ".", "▁fox")


def from_words(tokens: Sequence[int]) -> str:
    """One that drops the space before its first word, as sentencepiece does."""
    return "".join(WORDS[token] for token in tokens).replace("▁", " ").removeprefix(" ")


def fed(detokenizer: Detokenizer, tokens: Sequence[int]) -> list[str]:
    return [detokenizer.feed(token) for token in tokens]


@given(st.binary())
def test_whatever_the_bytes_the_text_is_the_whole_texts(answer: bytes) -> None:
    detokenizer = Detokenizer(from_bytes, [])
    assert "".join(fed(detokenizer, answer)) + detokenizer.rest() == from_bytes(answer)


@given(st.text(), st.text())
def test_after_a_prompt_nothing_is_held_back_at_the_end_of_a_character(
    prompt: str, answer: str
) -> None:
    detokenizer = Detokenizer(from_bytes, prompt.encode())
    assert "".join(fed(detokenizer, answer.encode())) + detokenizer.rest() == answer


tokens_of_words = st.lists(st.integers(0, len(WORDS) - 1))


@given(st.lists(st.integers(0, len(WORDS) - 1), min_size=1), tokens_of_words)
def test_the_space_before_the_first_word_is_the_prompts_business(
    prompt: list[int], answer: list[int]
) -> None:
    text = "".join(fed(Detokenizer(from_words, prompt), answer))
    assert from_words(prompt) + text == from_words(prompt + answer)


def test_a_character_comes_whole_and_at_once() -> None:
    assert fed(Detokenizer(from_bytes, b"> "), "a🤖b".encode()) == ["a", "", "", "", "🤖", "b"]
