"""One fault: what is done how often, what may come of it, and what came of it."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.replica.faults.target import ASK, HangError, Target, ask

MIB = 1 << 20
# The reply to each try in one word: a status, "closed", or a word of the fault's own.
Act = Callable[[Target], Awaitable[Sequence[str]]]

_WELL_AGAIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """``act`` does it and says what came of each try; ``allowed`` are the words that may come.

    ``memory_mib`` is how far the replica's memory may grow meanwhile.
    """

    name: str
    act: Act
    allowed: frozenset[str]
    memory_mib: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a fault did. ``problems`` is empty where the replica stood it."""

    name: str
    outcomes: Counter[str]
    seconds: float
    memory_mib: float
    problems: list[str] = field(default_factory=list)

    @property
    def tries(self) -> int:
        return self.outcomes.total()


async def commit(fault: Fault, target: Target) -> Finding:
    """Do it once, and look at the replica afterwards."""
    problems: list[str] = []
    before = target.forget_peak()
    began = time.monotonic()
    try:
        outcomes = Counter(await fault.act(target))
    except HangError:
        outcomes = Counter({"hung": 1})
    seconds = time.monotonic() - began
    grown = (target.peak_memory() - before) / MIB
    problems += [f"{n} x {word}" for word, n in outcomes.items() if word not in fault.allowed]
    if grown > fault.memory_mib:
        problems.append(f"memory grew by {grown:.0f} MiB, {fault.memory_mib} allowed")
    if not await _is_well(target):
        problems.append("the replica is not well afterwards")
    return Finding(
        name=fault.name, outcomes=outcomes, seconds=seconds, memory_mib=grown, problems=problems
    )


async def _is_well(target: Target) -> bool:
    """Healthy, with nothing left inside, and it answers a request."""
    deadline = time.monotonic() + _WELL_AGAIN_S
    try:
        while await target.metric("llmbudget_requests_in_flight") > 0:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)
        return await target.is_healthy() and (await target.say(ask(ASK))).status == 200
    except (OSError, HangError):
        return False


async def all_of(target: Target, payloads: Sequence[bytes], *, at_once: int = 20) -> list[str]:
    """Send each on a connection of its own; the word for each reply."""
    room = asyncio.Semaphore(at_once)

    async def one(payload: bytes) -> str:
        async with room:
            return (await target.say(payload)).word

    return list(await asyncio.gather(*map(one, payloads)))
