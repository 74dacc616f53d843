"""Laws of the simulated engine: determinism, continuation, length, timing, slots."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.replica.engines import prose
from skyserve_llm.replica.engines.base import ChatMessage, Piece, Prompt, SamplingParams
from skyserve_llm.replica.engines.simulated import SimulatedEngine, Timing

INSTANT = Timing(ttft_s=0, tpot_s=0)
conversations = st.lists(
    st.builds(ChatMessage, role=st.sampled_from(["user", "system"]), content=st.text()),
    min_size=1,
    max_size=3,
)


def engine(timing: Timing = INSTANT, slots: int = 8) -> SimulatedEngine:
    return SimulatedEngine(timing=timing, max_num_seqs=slots, max_model_len=8192)


async def pieces_of(prompt: Prompt, max_tokens: int, *, ignore_eos: bool = False) -> list[Piece]:
    sampling = SamplingParams(max_tokens=max_tokens, ignore_eos=ignore_eos)
    return [piece async for piece in engine().generate(prompt, sampling)]


def answer(prompt: Prompt, max_tokens: int = 8000, *, ignore_eos: bool = False) -> list[Piece]:
    return asyncio.run(pieces_of(prompt, max_tokens, ignore_eos=ignore_eos))


def text_of(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def ask(messages: Sequence[ChatMessage], said: str | None = None) -> Prompt:
    if said is None:
        return engine().render_chat(
            messages, add_generation_prompt=True, continue_final_message=False
        )
    return engine().render_chat(
        [*messages, ChatMessage(role="assistant", content=said)],
        add_generation_prompt=False,
        continue_final_message=True,
    )


@given(conversations)
def test_an_answer_is_the_same_each_time_and_says_what_it_is(messages: list[ChatMessage]) -> None:
    first = answer(ask(messages))
    assert first == answer(ask(messages))
    assert text_of(first).startswith("[simulated] ")
    assert text_of(first).isascii()
    assert text_of(first).endswith(".")


@given(conversations, st.data())
def test_a_continuation_is_the_remainder(messages: list[ChatMessage], data: st.DataObject) -> None:
    full = text_of(answer(ask(messages)))
    at = data.draw(st.integers(0, len(full)))
    rest = answer(ask(messages, said=full[:at]))
    assert text_of(rest) == full[at:]
    assert rest[-1].finish_reason == "stop"


@given(conversations, st.integers(1, 60))
def test_tokens_before_and_after_a_cut_add_up(messages: list[ChatMessage], cut: int) -> None:
    full = answer(ask(messages))
    begun = answer(ask(messages), max_tokens=cut)
    resumed = ask(messages, said=text_of(begun))
    assert len(begun) + sum(piece.tokens for piece in answer(resumed)) == len(full) or (
        len(begun) == len(full)
    )
    asked = engine().count_tokens(ask(messages))
    assert engine().count_tokens(resumed) == asked + len(begun)


@given(conversations, st.text(min_size=1))
def test_foreign_words_of_the_assistant_are_continued_too(
    messages: list[ChatMessage], said: str
) -> None:
    seed = prose.seed_of(ask(messages).text)
    if "".join(piece.text for piece in answer(ask(messages))).startswith(said):
        return
    left = max(0, prose.natural_length(seed) - prose.count_tokens(said))
    assert sum(piece.tokens for piece in answer(ask(messages, said=said))) == left


@given(conversations, st.integers(1, 400))
def test_length_and_reason(messages: list[ChatMessage], limit: int) -> None:
    natural = len(answer(ask(messages)))
    cut = answer(ask(messages), max_tokens=limit)
    assert len(cut) == min(limit, natural)
    assert cut[-1].finish_reason == ("length" if limit < natural else "stop")
    assert all(piece.finish_reason is None for piece in cut[:-1])
    forced = answer(ask(messages), max_tokens=limit, ignore_eos=True)
    assert (len(forced), forced[-1].finish_reason) == (limit, "length")
    assert text_of(forced).startswith(text_of(cut))


@given(st.text(), st.text())
def test_other_words_give_another_seed(one: str, other: str) -> None:
    assert (prose.seed_of(one) == prose.seed_of(other)) == (one == other)


@given(st.text())
def test_every_text_without_gaps_has_tokens(text: str) -> None:
    assert (prose.count_tokens(text) == 0) == (text == "")
    assert prose.count_tokens(text) <= len(text)


async def test_timing_follows_the_forecast_without_drift() -> None:
    timing = Timing(ttft_s=0.05, tpot_s=0.002)
    sampling = SamplingParams(max_tokens=200, ignore_eos=True)
    began = time.monotonic()
    times = [
        time.monotonic() - began async for _ in engine(timing).generate(Prompt(text="x"), sampling)
    ]
    # Clocks of event loops are a millisecond coarse. Sleeping 2 ms two hundred times, with
    # about 1 ms lost each time, would need half as long again.
    assert times[0] >= 0.048
    assert 0.446 <= times[-1] < 0.6


async def test_one_more_than_there_are_slots_waits() -> None:
    busy = engine(slots=2)
    sampling = SamplingParams(max_tokens=8000, ignore_eos=True)
    first, second, third = (busy.generate(Prompt(text=name), sampling) for name in "abc")
    await anext(first)
    await anext(second)
    waiting = asyncio.ensure_future(anext(third))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    await first.aclose()
    assert (await asyncio.wait_for(waiting, 5)).text
    await second.aclose()
    await third.aclose()


@pytest.mark.parametrize("said", ["", "[sim", "something else"])
def test_a_continuation_is_no_part_of_the_seed(said: str) -> None:
    messages = [ChatMessage(role="user", content="hello")]
    assert ask(messages, said=said).text == ask(messages).text
