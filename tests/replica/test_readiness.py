"""Health is true: of an engine that starts, fails, freezes, is busy, or does nothing at all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from skyserve_llm.replica.probe import ProbeError
from skyserve_llm.replica.readiness import Health, Readiness


class Engine:
    """Asked for a token, it gives one, fails, or freezes: then it says nothing at all."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None
        self.thawed = asyncio.Event()
        self.thawed.set()

    async def __call__(self) -> None:
        self.asked += 1
        await self.thawed.wait()
        if self.error is not None:
            raise self.error


@contextlib.asynccontextmanager
async def watched(engine: Engine, *, proof_s: float, token_s: float) -> AsyncIterator[Readiness]:
    readiness = Readiness(
        engine, lambda *_, **__: None, proof_interval_s=proof_s, token_timeout_s=token_s
    )
    task = asyncio.create_task(readiness.watch())
    try:
        yield readiness
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def becomes(readiness: Readiness, health: Health) -> None:
    async with asyncio.timeout(15):
        while readiness.report.health is not health:
            await asyncio.sleep(0.005)


async def test_ready_is_who_has_made_a_token() -> None:
    engine = Engine()
    engine.thawed.clear()
    async with watched(engine, proof_s=60, token_s=60) as readiness:
        await asyncio.sleep(0.02)
        assert readiness.report.health is Health.STARTING
        engine.thawed.set()
        await becomes(readiness, Health.OK)


async def test_an_idle_engine_goes_on_proving_itself() -> None:
    engine = Engine()
    async with watched(engine, proof_s=0.02, token_s=60) as readiness:
        async with asyncio.timeout(15):
            while engine.asked < 4:
                await asyncio.sleep(0.005)
        assert readiness.report.health is Health.OK


async def test_an_engine_that_freezes_without_an_error_is_noticed() -> None:
    engine = Engine()
    async with watched(engine, proof_s=0.02, token_s=0.05) as readiness:
        await becomes(readiness, Health.OK)
        engine.thawed.clear()
        await becomes(readiness, Health.BROKEN)
        assert "no token" in str(readiness.report.reason)
        engine.thawed.set()
        await becomes(readiness, Health.OK)


async def test_tokens_for_others_are_proof_enough() -> None:
    engine = Engine()
    async with watched(engine, proof_s=0.8, token_s=60) as readiness:
        await becomes(readiness, Health.OK)
        for _ in range(100):
            readiness.saw_token()
            await asyncio.sleep(0.01)
        assert engine.asked == 1


async def test_a_busy_engine_is_not_a_frozen_one() -> None:
    """The question waits behind others' requests, whose tokens show that the engine lives."""
    engine = Engine()
    async with watched(engine, proof_s=0.05, token_s=0.8) as readiness:
        await becomes(readiness, Health.OK)
        engine.thawed.clear()
        async with asyncio.timeout(15):
            while engine.asked < 2:
                await asyncio.sleep(0.005)
        for _ in range(100):  # longer than the timeout
            readiness.saw_token()
            await asyncio.sleep(0.01)
            assert readiness.report.health is Health.OK
        await becomes(readiness, Health.BROKEN)  # and now they stopped


@pytest.mark.parametrize(
    ("error", "words"),
    [(ProbeError("was answered 503"), "answered 503"), (OSError("secret"), "raised OSError")],
)
async def test_a_failure_is_told_without_its_message(error: Exception, words: str) -> None:
    engine = Engine()
    async with watched(engine, proof_s=60, token_s=60) as readiness:
        await becomes(readiness, Health.OK)
        engine.error = error
        readiness.doubt()
        await becomes(readiness, Health.BROKEN)
        assert words in str(readiness.report.reason)
        assert "secret" not in str(readiness.report.reason)
