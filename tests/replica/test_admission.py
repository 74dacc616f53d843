"""Who gets in, in what order, and what those are told who do not."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.replica.admission import Admission
from skyserve_llm.replica.metrics import Outcome
from skyserve_llm.replica.refusal import RefusedError


def admission(places: int, line: int, *, timeout_s: float = 60) -> Admission:
    return Admission(max_in_flight=places, max_queued=line, queue_timeout_s=timeout_s)


async def hold(door: Admission, entered: list[int], number: int, release: asyncio.Event) -> None:
    async with door.place():
        entered.append(number)
        await release.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@given(places=st.integers(1, 5), line=st.integers(0, 5), guests=st.integers(0, 14))
def test_first_come_first_served_and_no_more_than_there_is_room_for(
    places: int, line: int, guests: int
) -> None:
    async def party() -> None:
        door, entered, release = admission(places, line), [], asyncio.Event()
        tasks = []
        for number in range(guests):
            tasks.append(asyncio.create_task(hold(door, entered, number, release)))
            await settle()
        assert entered == list(range(min(guests, places)))
        assert door.in_flight == min(guests, places)
        assert door.queued == min(max(guests - places, 0), line)
        release.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert entered == list(range(min(guests, places + line)))
        turned_away = [error for error in ended if isinstance(error, RefusedError)]
        assert len(turned_away) == max(guests - places - line, 0)
        assert (door.in_flight, door.queued) == (0, 0)

    asyncio.run(party())


@given(st.lists(st.sampled_from(["enter", "leave", "give up"]), max_size=40))
def test_no_place_is_ever_lost(steps: list[str]) -> None:
    """Whoever enters, leaves or gives up in whatever order: at the end all places are free."""

    async def evening() -> None:
        door, entered, guests = admission(2, 3), [], []
        for number, step in enumerate(steps):
            if step == "enter":
                release = asyncio.Event()
                task = asyncio.create_task(hold(door, entered, number, release))
                guests.append((task, release))
                await asyncio.sleep(0)
            elif guests and step == "leave":
                guests.pop(0)[1].set()
            elif guests:
                guests.pop()[0].cancel()
            assert door.in_flight <= 2
        for _, release in guests:
            release.set()
        await settle()
        await asyncio.gather(*(task for task, _ in guests), return_exceptions=True)
        await settle()
        assert (door.in_flight, door.queued) == (0, 0)

    asyncio.run(evening())


async def test_the_one_who_is_called_up_and_cancelled_at_once_passes_his_place_on() -> None:
    door, entered, release = admission(1, 2), [], asyncio.Event()
    first = asyncio.create_task(hold(door, entered, 0, release))
    await settle()
    second = asyncio.create_task(hold(door, entered, 1, asyncio.Event()))
    third = asyncio.create_task(hold(door, entered, 2, release))
    await settle()
    release.set()
    await asyncio.sleep(0)  # the place is the second's now, who has not run yet
    second.cancel()
    await asyncio.gather(first, third)
    assert entered == [0, 2]
    assert door.in_flight == 0


async def test_a_refusal_says_when_to_come_back() -> None:
    door = admission(1, 0)
    async with door.place():
        with pytest.raises(RefusedError) as refused:
            async with door.place():
                pass
    assert refused.value.status == 429
    assert refused.value.outcome is Outcome.REJECTED
    ((name, value),) = refused.value.headers
    assert name == b"retry-after"
    assert 1 <= int(value) <= 60


async def test_nobody_waits_for_ever() -> None:
    door = admission(1, 1, timeout_s=0.01)
    async with AsyncExitStack() as held:
        await held.enter_async_context(door.place())
        with pytest.raises(RefusedError) as refused:
            await held.enter_async_context(door.place())
    assert refused.value.status == 429
    assert (door.in_flight, door.queued) == (0, 0)
