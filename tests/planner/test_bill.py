"""The month's bill, line by line, and which prices are never chosen silently."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.planner.cost import (
    CONTROLLER_DISK_GIB,
    STREAM_BYTES,
    Usage,
    disk_size_gib,
    monthly_bill,
    rescaled,
    stream_bytes_per_token,
    tariff,
    usage,
)
from skyserve_llm.planner.ranking import choose
from skyserve_llm.replica.wire import ChatShape
from skyserve_llm.types import SUSPECT_MARKS, Candidate, MonthlyBill, Rate
from skyserve_llm.units import GIB, HOURS_PER_MONTH
from tests.service.plans import candidate


def rate(cloud: str, disk: str | None, egress: str | None, controller: str | None) -> Rate:
    amounts = [None if text is None else Decimal(text) for text in (disk, egress, controller)]
    return Rate(cloud, *amounts, as_of=None, source="test")


RATES = {
    "gcp": rate("gcp", "0.10", "0.12", "0.15"),
    "aws": rate("aws", "0.08", "0.09", "0.17"),
    "runpod": rate("runpod", "0.10", "0", None),
    "free": rate("free", None, None, None),
}
MODEL = "mlabonne/phixtral-4x2_8"
USAGE = usage(disk_gib=80, output_tokens_per_s=100.0, model_id=MODEL)
TRAFFIC_GIB = Decimal(100 * HOURS_PER_MONTH * 3600 * (STREAM_BYTES + 23)) / GIB


def bill(
    cloud: str,
    *,
    replicas: int = 1,
    consolidated: bool = False,
    rates: Mapping[str, Rate] = RATES,
    used: Usage = USAGE,
) -> MonthlyBill:
    terms = tariff(cloud, rates, consolidated=consolidated)
    return monthly_bill(Decimal("0.50"), replicas, used, terms)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"))


def test_every_line_of_a_bill() -> None:
    month = bill("gcp", replicas=3)
    assert month.compute == Decimal("0.50") * 3 * HOURS_PER_MONTH
    assert month.disk == Decimal("0.10") * 80 * 3
    # One controller, however many replicas: its hours and its disk.
    assert month.controller == cents(
        Decimal("0.15") * HOURS_PER_MONTH + Decimal("0.10") * CONTROLLER_DISK_GIB
    )
    assert month.egress == cents(TRAFFIC_GIB * 3 * Decimal("0.12"))
    assert month.total == month.compute + month.disk + month.controller + month.egress


def test_a_gpu_cloud_pays_for_a_controller_and_its_traffic_elsewhere() -> None:
    month = bill("runpod")
    # 0.15 an hour and 256 GiB at 0.10 are less than 0.17 and 256 GiB at 0.08.
    assert month.controller == bill("gcp").controller
    # Free out of RunPod, then out of the load balancer's cloud.
    assert month.egress == cents(TRAFFIC_GIB * Decimal("0.12"))


def test_consolidated_rents_no_controller_and_the_tokens_leave_once() -> None:
    month = bill("runpod", consolidated=True)
    assert month.controller == 0
    assert month.egress == 0
    assert bill("gcp", consolidated=True).egress == bill("gcp").egress


def test_what_has_no_rate_is_unknown_and_not_in_the_total() -> None:
    month = bill("free")
    assert month.disk is None
    assert month.egress is None
    assert month.total == month.compute + (month.controller or 0)
    nowhere = bill("gcp", rates={})
    assert nowhere.controller is None
    assert nowhere.total == nowhere.compute


def test_an_unknown_speed_is_unknown_traffic() -> None:
    assert bill("gcp", used=usage(80, None, MODEL)).egress is None


def test_a_bill_rescales_by_its_replicas() -> None:
    assert rescaled(bill("gcp"), 3, of=1).total == pytest.approx(
        bill("gcp", replicas=3).total, abs=Decimal("0.03")
    )


def test_a_model_is_named_in_every_chunk() -> None:
    assert stream_bytes_per_token(MODEL) == STREAM_BYTES + 23


def test_a_streamed_token_is_what_the_replica_sends() -> None:
    # vLLM's chunk has one field more than ours; the rest is framing and packet headers.
    ours = ChatShape(model="", id="0" * 32, created=1_795_397_733).text(" the")
    frame = len(f"{len(ours):x}\r\n\r\n")
    tcp_ip = 52
    assert STREAM_BYTES - tcp_ip - frame == len(ours) + len(',"token_ids":null')


@given(st.integers(0, 10**12), st.integers(0, 10**11))
def test_a_larger_checkpoint_never_needs_a_smaller_disk(size: int, more: int) -> None:
    assert disk_size_gib(size) <= disk_size_gib(size + more)
    assert disk_size_gib(size) * GIB > size


# --- what may be chosen ----------------------------------------------------------------------


def priced(*marks: str) -> Candidate:
    return replace(candidate(), price_marks=marks)


def test_a_suspect_price_is_passed_over() -> None:
    ranked = [priced("below_market"), priced("undated", "off_market"), priced("undated"), priced()]
    assert choose(ranked) == 2
    assert choose(ranked, allow_suspect=True) == 0


def test_a_suspect_price_is_better_than_no_plan() -> None:
    assert choose([priced("spot_floor"), priced("reservation")]) == 0
    assert choose([]) is None


@given(st.lists(st.sets(st.sampled_from([*sorted(SUSPECT_MARKS), "undated", "disputed"]))))
def test_the_choice_is_the_first_that_can_be_trusted(rows: list[set[str]]) -> None:
    ranked = [priced(*sorted(marks)) for marks in rows]
    chosen = choose(ranked)
    if chosen is None:
        assert not ranked
    elif ranked[chosen].suspect:
        assert chosen == 0
        assert all(one.suspect for one in ranked)
    else:
        assert all(one.suspect for one in ranked[:chosen])
