"""The order in which a replica ends, and how long each step may take."""

import asyncio
import time

import pytest

from skyserve_llm.replica.drain import Drain, DrainTimes, Phase


class House:
    """What a drain acts upon: requests, a listener and a process; each act leaves a note."""

    def __init__(self, *, lame_duck_s: float, drain_timeout_s: float, in_flight: int = 0) -> None:
        self.in_flight = in_flight
        self.acts: list[tuple[str, float]] = []
        self.log: list[dict[str, object]] = []
        self.drain = Drain(
            DrainTimes(lame_duck_s=lame_duck_s, drain_timeout_s=drain_timeout_s),
            in_flight=lambda: self.in_flight,
            cut=self._cut,
            log=lambda event, **fields: self.log.append({"event": event, **fields}),
        )
        self.began = time.monotonic()

    def close_listener(self) -> None:
        self._note("closed")

    def end(self) -> None:
        self._note("ended")

    def _cut(self, reason: str) -> None:
        self._note(f"cut: {reason}")
        self.in_flight = 0

    def _note(self, act: str) -> None:
        self.acts.append((act, time.monotonic() - self.began))

    @property
    def order(self) -> list[str]:
        return [act for act, _ in self.acts]

    def after(self, act: str) -> float:
        return dict(self.acts)[act]

    async def run(self) -> None:
        async with asyncio.timeout(20):
            await self.drain.run(self)


async def test_nothing_happens_before_it_is_told_to() -> None:
    house = House(lame_duck_s=0, drain_timeout_s=0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(house.run(), 0.05)
    assert (house.order, house.drain.phase) == ([], Phase.SERVING)


async def test_an_idle_replica_listens_to_the_end_of_the_lame_duck() -> None:
    house = House(lame_duck_s=0.2, drain_timeout_s=60)
    house.drain.begin("SIGTERM")
    await house.run()
    assert house.order == ["closed", "ended"]
    assert house.after("closed") >= 0.2
    assert house.drain.phase is Phase.OVER


async def test_what_runs_may_finish() -> None:
    house = House(lame_duck_s=0, drain_timeout_s=60, in_flight=2)
    house.drain.begin("SIGTERM")
    running = asyncio.create_task(house.run())
    while house.drain.phase is not Phase.FINISHING:
        await asyncio.sleep(0.01)
    house.in_flight = 0
    await running
    assert house.order == ["closed", "ended"]


async def test_what_does_not_finish_in_time_is_cut() -> None:
    house = House(lame_duck_s=0, drain_timeout_s=0.2, in_flight=1)
    house.drain.begin("SIGTERM")
    await house.run()
    assert house.order == ["closed", "cut: SIGTERM", "ended"]
    assert house.after("cut: SIGTERM") >= 0.2
    phases = [line["phase"] for line in house.log]
    assert phases == ["lame duck", "finishing", "cutting", "over"]


async def test_the_listener_never_outlives_the_deadline() -> None:
    house = House(lame_duck_s=60, drain_timeout_s=0.1, in_flight=1)
    house.drain.begin("SIGTERM")
    await house.run()
    assert house.order == ["closed", "cut: SIGTERM", "ended"]


async def test_a_short_notice_cuts_the_lame_duck_short() -> None:
    # 3 s of a notice are kept back; of the rest the lame duck gets half.
    house = House(lame_duck_s=60, drain_timeout_s=60, in_flight=1)
    house.drain.begin("gcp: preempted", notice_s=3.4)
    await house.run()
    assert house.order == ["closed", "cut: gcp: preempted", "ended"]
    assert 0.2 <= house.after("closed") < house.after("cut: gcp: preempted")
    assert house.after("cut: gcp: preempted") >= 0.4


async def test_a_long_notice_leaves_the_lame_duck_its_time() -> None:
    house = House(lame_duck_s=0.1, drain_timeout_s=0.2, in_flight=1)
    house.drain.begin("aws: terminate", notice_s=120)
    (first,) = house.log
    assert first["lame_duck_s"] == 0.1
    assert first["within_s"] == 117  # the machine's time, not drain_timeout_s
    running = asyncio.create_task(house.run())
    while "closed" not in house.order:
        await asyncio.sleep(0.01)
    house.in_flight = 0
    await running
    assert house.order == ["closed", "ended"]


async def test_a_notice_that_is_over_ends_it_at_once() -> None:
    house = House(lame_duck_s=60, drain_timeout_s=60, in_flight=1)
    house.drain.begin("azure: Preempt", notice_s=0)
    await house.run()
    assert house.order == ["closed", "cut: azure: Preempt", "ended"]


async def test_a_notice_in_the_middle_of_a_drain_brings_its_end_nearer() -> None:
    house = House(lame_duck_s=60, drain_timeout_s=60, in_flight=1)
    house.drain.begin("SIGTERM")
    running = asyncio.create_task(house.run())
    await asyncio.sleep(0)
    house.drain.begin("gcp: preempted", notice_s=3.2)
    await running
    assert house.order == ["closed", "cut: SIGTERM", "ended"]


async def test_nothing_puts_the_end_off() -> None:
    house = House(lame_duck_s=0.1, drain_timeout_s=0.2, in_flight=1)
    house.drain.begin("SIGTERM")
    house.drain.begin("aws: terminate", notice_s=120)
    await house.run()
    assert house.order == ["closed", "cut: SIGTERM", "ended"]


async def test_a_second_signal_ends_it_at_once() -> None:
    house = House(lame_duck_s=60, drain_timeout_s=60, in_flight=1)
    house.drain.on_signal("SIGTERM")
    running = asyncio.create_task(house.run())
    await asyncio.sleep(0)
    house.drain.on_signal("SIGTERM")
    await running
    assert house.order == ["closed", "cut: SIGTERM", "ended"]


async def test_the_first_signal_after_a_notice_is_no_second_one() -> None:
    house = House(lame_duck_s=60, drain_timeout_s=60, in_flight=1)
    house.drain.begin("aws: terminate", notice_s=120)
    house.drain.on_signal("SIGTERM")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(house.run(), 0.05)
    assert house.order == []
