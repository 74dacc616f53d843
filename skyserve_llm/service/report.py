"""What it cost: billed intervals become a bill.

Pure: no files, no clock, no rounding (money is rounded where it is printed). Knows the nouns of
running services only.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from skyserve_llm.service.types import CostLine, CostReport, ReplicaInterval
from skyserve_llm.units import HOURS_PER_MONTH

LOCAL_NOTE = (
    "local replicas cost nothing: their prices are what the plan's instance would cost for the "
    "same time"
)

_NOTHING = Decimal(0)


def cost_report(intervals: Iterable[ReplicaInterval], now: datetime) -> CostReport:
    """One line an interval, running ones counted up to ``now``."""
    intervals = list(intervals)
    lines = tuple(_line(interval, now) for interval in intervals)
    running = [interval for interval in intervals if interval.ended_at is None]
    return CostReport(
        lines=lines,
        price_per_hour=sum((i.price_per_hour or _NOTHING for i in running), _NOTHING),
        so_far=sum((line.so_far or _NOTHING for line in lines), _NOTHING),
        per_month=sum((line.per_month or _NOTHING for line in lines), _NOTHING),
        unpriced=sum(line.price_per_hour is None for line in lines),
        observed_at=now,
        note=LOCAL_NOTE if any(i.backend == "local" for i in intervals) else None,
    )


def _line(interval: ReplicaInterval, now: datetime) -> CostLine:
    price = interval.price_per_hour
    hours = _hours((interval.ended_at or now) - interval.launched_at)
    per_month = _NOTHING if interval.ended_at else price and price * HOURS_PER_MONTH
    return CostLine(
        service=interval.service,
        replica_id=interval.replica_id,
        infra=interval.infra,
        accelerators=interval.accelerators,
        spot=interval.spot,
        state=interval.state,
        hours=hours,
        price_per_hour=price,
        so_far=None if price is None else price * hours,
        per_month=None if price is None else per_month,
    )


def _hours(time: timedelta) -> Decimal:
    """Exact: a float of hours would be off in the last cents of a long month."""
    microseconds = time // timedelta(microseconds=1)
    # Two machines' clocks may disagree by more than a replica's first second: never negative.
    return Decimal(max(0, microseconds)) / Decimal(3_600_000_000)
