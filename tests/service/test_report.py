"""The bill against a straightforward computation of it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.service.report import LOCAL_NOTE, cost_report
from skyserve_llm.service.types import ReplicaInterval, ReplicaState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def interval(**changes: object) -> ReplicaInterval:
    values = {
        "deployment": "chat@2026",
        "service": "chat",
        "backend": "skypilot",
        "replica_id": 1,
        "launched_at": NOW - timedelta(hours=10),
        "ended_at": None,
        "last_seen": NOW,
        "state": ReplicaState.READY,
        "infra": "gcp/us-central1-a",
        "instance_type": "g2-standard-4",
        "accelerators": "L4:1",
        "spot": True,
        "price_per_hour": Decimal("0.2184"),
    }
    return ReplicaInterval(**(values | changes))  # type: ignore[arg-type]


def test_a_running_replica_costs_until_now_and_goes_on():
    report = cost_report([interval()], NOW)
    (line,) = report.lines
    assert (line.hours, line.so_far) == (Decimal(10), Decimal("2.184"))
    assert line.per_month == Decimal("159.4320")
    assert (report.price_per_hour, report.so_far) == (Decimal("0.2184"), Decimal("2.184"))
    assert report.unpriced == 0
    assert report.note is None


def test_one_that_ended_costs_what_it_cost_and_no_more():
    ended = interval(ended_at=NOW - timedelta(hours=4), state=ReplicaState.PREEMPTED)
    report = cost_report([ended], NOW + timedelta(days=365))
    assert report.so_far == Decimal("0.2184") * 6
    assert report.price_per_hour == report.per_month == 0


def test_an_unknown_price_stays_unknown_and_is_counted():
    report = cost_report([interval(), interval(replica_id=2, price_per_hour=None)], NOW)
    unpriced = report.lines[1]
    assert (unpriced.price_per_hour, unpriced.so_far, unpriced.per_month) == (None, None, None)
    assert unpriced.hours == 10
    assert report.unpriced == 1
    assert report.so_far == Decimal("2.184")


def test_a_price_of_zero_is_a_price():
    report = cost_report([interval(price_per_hour=Decimal(0))], NOW)
    assert report.unpriced == 0
    assert report.lines[0].so_far == report.lines[0].per_month == 0


def test_local_replicas_are_said_to_cost_nothing():
    assert cost_report([interval(backend="local", infra="local")], NOW).note == LOCAL_NOTE


def test_nothing_ran():
    report = cost_report([], NOW)
    assert (report.lines, report.so_far, report.unpriced) == ((), Decimal(0), 0)


def test_a_clock_that_is_ahead_gives_no_money_back():
    assert cost_report([interval(launched_at=NOW + timedelta(seconds=3))], NOW).so_far == 0


prices = st.none() | st.decimals(0, 1000, places=4)
moments = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(st.lists(st.tuples(moments, st.none() | moments, prices), max_size=8), moments)
def test_the_bill_is_hours_times_price(replicas, now):
    intervals = [
        interval(replica_id=n, launched_at=start, ended_at=end, price_per_hour=price)
        for n, (start, end, price) in enumerate(replicas)
    ]
    report = cost_report(intervals, now)
    exact = sum(
        Fraction(price) * max(Fraction(0), Fraction(((end or now) - start).total_seconds()) / 3600)
        for start, end, price in replicas
        if price is not None
    )
    assert abs(Fraction(report.so_far) - exact) < Fraction(1, 10**6)  # floats on this side only
    alive = sum(price for _, end, price in replicas if end is None and price is not None)
    assert report.price_per_hour == alive
    assert report.per_month == alive * 730
    assert report.unpriced == sum(price is None for *_, price in replicas)
    assert report.so_far == sum(line.so_far for line in report.lines if line.so_far is not None)
