"""Very many streams at once: whether one is lost, and what one of them costs in memory."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from tests.replica.faults.target import ASK, HangError, Target, ask

# So slow that the last stream has begun long before the first one ends, on two busy cores too.
_TOKENS = 30
_TPOT_MS = 300
FLAGS = ("--max-num-seqs", "2000", "--ttft-ms", "0", "--tpot-ms", str(_TPOT_MS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """``at_once`` is the most that were inside at the same time, ``whole`` how many were
    answered to the last token; ``bytes_each`` is what the replica's process grew by for each.
    """

    asked: int
    whole: int
    at_once: int
    bytes_each: int
    seconds: float


async def _stream(target: Target) -> bool:
    """Whether every token came, and the end."""
    body = {**ASK, "max_tokens": _TOKENS, "ignore_eos": True, "stream": True}
    try:
        async with target.connect() as connection:
            await connection.send(ask(body))
            reply = await connection.reply(patience_s=120)
    except (OSError, HangError):
        return False
    events = reply.body.count(b"data: {")
    # The role, a text for each token, and the finish reason.
    return events == _TOKENS + 2 and b"data: [DONE]" in reply.body[-32:]


async def many(target: Target, count: int) -> Streams:
    """``count`` streams at the same time."""
    await _stream(target)
    before, began = target.forget_peak(), time.monotonic()
    streams = [asyncio.create_task(_stream(target)) for _ in range(count)]
    at_once = 0.0
    while at_once < count and not any(stream.done() for stream in streams):
        with contextlib.suppress(HangError):
            at_once = max(at_once, await target.metric("llmbudget_requests_in_flight"))
        await asyncio.sleep(0.1)
    whole = sum(await asyncio.gather(*streams))
    return Streams(
        asked=count,
        whole=whole,
        at_once=int(at_once),
        bytes_each=(target.peak_memory() - before) // count,
        seconds=time.monotonic() - began,
    )
