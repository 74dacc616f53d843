"""Engines that block a thread: a stated number at a time, and none that nobody listens to."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing
from functools import partial

import pytest

from skyserve_llm.replica.engines.base import Piece
from skyserve_llm.replica.engines.workers import Emit, Workers, in_background


def say(*words: str) -> Callable[[Emit], None]:
    def produce(emit: Emit) -> None:
        for word in words:
            emit(Piece(text=word))

    return produce


class Endless:
    """Emits until nobody listens; says when it has begun and when it has ended."""

    def __init__(self) -> None:
        self.emitted = 0
        self.begun, self.ended = threading.Event(), threading.Event()
        self.go_on = threading.Semaphore(0)

    def __call__(self, emit: Emit) -> None:
        self.begun.set()
        listened = True
        while listened:
            self.go_on.acquire()
            listened = emit(Piece(text="x"))
            self.emitted += 1
        self.ended.set()


async def waited(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def test_pieces_come_in_order_and_the_line_moves_on() -> None:
    workers = Workers(1)
    streams = [workers.stream(say(name, "!")) for name in "abc"]
    told = [[piece.text async for piece in stream] for stream in streams]
    assert told == [["a", "!"], ["b", "!"], ["c", "!"]]
    workers.close()


async def test_an_answer_that_nobody_wants_stops_within_one_piece() -> None:
    workers, endless = Workers(1), Endless()
    async with aclosing(workers.stream(endless)) as pieces:
        endless.go_on.release()
        assert (await anext(pieces)).text == "x"
    endless.go_on.release()
    await waited(endless.ended)
    assert endless.emitted <= 2
    workers.close()


async def test_so_many_at_a_time_and_the_next_when_one_has_ended() -> None:
    workers, first, second = Workers(1), Endless(), Endless()
    running, waiting = workers.stream(first), workers.stream(second)
    first.go_on.release()
    await anext(running)
    asked = asyncio.ensure_future(anext(waiting))
    second.go_on.release()
    assert not await asyncio.to_thread(second.begun.wait, 0.05)
    await running.aclose()
    first.go_on.release()
    assert (await asked).text == "x"
    await waiting.aclose()
    second.go_on.release()
    await waited(second.ended)
    workers.close()


async def test_who_leaves_the_line_is_never_begun() -> None:
    workers, first, second = Workers(1), Endless(), Endless()
    running, waiting = workers.stream(first), workers.stream(second)
    first.go_on.release()
    await anext(running)
    asked = asyncio.ensure_future(anext(waiting))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await running.aclose()
    first.go_on.release()
    assert [piece.text async for piece in workers.stream(say("third"))] == ["third"]
    assert not second.begun.is_set()
    workers.close()


async def test_an_engines_error_is_the_callers() -> None:
    def broken(emit: Emit) -> None:
        emit(Piece(text="a"))
        raise ZeroDivisionError

    told = []
    with pytest.raises(ZeroDivisionError):
        async for piece in (workers := Workers(1)).stream(broken):
            told.append(piece.text)
    assert told == ["a"]
    workers.close()


async def test_closing_ends_what_runs() -> None:
    workers, endless = Workers(1), Endless()
    asked = asyncio.ensure_future(anext(workers.stream(endless)))
    await waited(endless.begun)
    workers.close()
    endless.go_on.release()
    await waited(endless.ended)
    assert endless.emitted == 1
    with pytest.raises(StopAsyncIteration):
        await asked


async def test_in_background_hands_back_results_and_errors() -> None:
    assert await in_background(partial(int, "7")) == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await in_background(partial(int, "seven"))
