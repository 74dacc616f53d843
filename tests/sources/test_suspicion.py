"""Which prices are marked, and which honest ones are not."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.sources.suspicion import Price, findings, marks
from skyserve_llm.types import MARKS


def price(
    cloud: str,
    usd: str,
    *,
    spot: bool = False,
    region: str = "here",
    zone: str = "",
    machine: str = "box",
    gpu: str = "L4",
    count: int = 1,
    as_of: str = "2026-11-01",
    source: str = "test",
) -> Price:
    return Price(cloud, region, zone, machine, gpu, count, spot, Decimal(usd), as_of, source)


MARKET = [price("aws", "0.80"), price("azure", "1.00"), price("oci", "1.20")]
"""Three clouds, median a dollar."""


def marked(*prices: Price) -> list[str]:
    """The marks of ``prices`` in a market of honest ones."""
    return marks([*MARKET, *prices])[len(MARKET) :]


def test_an_honest_market_has_no_marks() -> None:
    assert marks(MARKET) == ["", "", ""]
    assert marked(price("gcp", "0.61"), price("gcp", "0.3", spot=True)) == ["", ""]


def test_spot_above_on_demand_marks_the_spot_price() -> None:
    assert marked(price("vast", "0.9"), price("vast", "1.1", spot=True)) == [
        "",
        "spot_above_on_demand",
    ]


def test_on_gcp_it_is_the_on_demand_price_that_is_wrong() -> None:
    both = marked(price("gcp", "0.9"), price("gcp", "1.1", spot=True))
    assert both == ["spot_above_on_demand"] * 2


def test_spot_equal_to_on_demand_but_for_rounding_is_not_above_it() -> None:
    assert marked(price("vast", "0.90004"), price("vast", "0.9000", spot=True)) == ["", ""]


def test_spot_is_held_against_on_demand_of_the_same_place_only() -> None:
    assert marked(price("vast", "0.9"), price("vast", "1.1", spot=True, zone="b")) == ["", ""]


@pytest.mark.parametrize(
    ("usd", "spot", "mark"),
    [
        ("0.59", False, "below_market"),
        ("0.60", False, ""),
        ("0.59", True, ""),
        ("0.09", False, "off_market"),
        ("0.09", True, "off_market"),
        ("0.10", True, ""),
        ("9.99", False, ""),
        ("10.01", False, "off_market"),
        ("10.01", True, "off_market"),
    ],
)
def test_a_price_is_held_against_the_median_over_clouds(usd: str, spot: bool, mark: str) -> None:
    # Both sides of the median's clouds are there, so that the price itself moves it nowhere.
    ballast = [price("nebius", "1.00"), price("lambda", "1.00")]
    machine = price("vast", usd, spot=spot, zone="z")
    assert marks([*MARKET, *ballast, machine])[-1] == mark


def test_prices_are_compared_by_the_gpu() -> None:
    assert marked(price("vast", "6.4", count=8), price("vast", "0.8", gpu="T4")) == ["", ""]
    assert marked(price("vast", "0.64", count=8)) == ["off_market"]


def test_a_cloud_speaks_once_however_many_rows_it_has() -> None:
    crowd = [price("verda", "0.30", region=f"r{n}") for n in range(50)]
    found = marked(*crowd)
    assert set(found) == {"below_market"}


def test_a_big_machine_around_one_gpu_does_not_move_a_clouds_price() -> None:
    lone = [price("aws", "1.0", gpu="A10G", machine="small")]
    lone += [price("aws", usd, gpu="A10G", machine=f"big{usd}") for usd in ("2", "3", "5")]
    assert marks(lone) == [""] * 4


def test_the_lower_of_two_levels_on_gcp_is_a_reservation() -> None:
    steps = [("us", "2.95"), ("eu", "3.3"), ("asia", "5.5"), ("au", "6.2")]
    levels = [price("gcp", usd, region=region) for region, usd in steps]
    assert [("reservation" in cell) for cell in marks(levels)] == [True, True, False, False]
    elsewhere = [one._replace(cloud="azure") for one in levels]
    assert not any("reservation" in cell for cell in marks(elsewhere))


def test_regions_that_only_rise_step_by_step_are_one_level() -> None:
    steps = [price("gcp", usd, region=usd) for usd in ("1.0", "1.2", "1.4", "1.65")]
    assert marks(steps) == [""] * 4


def test_undated_spot_near_the_floor_is_marked_and_dated_is_not() -> None:
    pair = [price("aws", "0.9"), price("aws", "0.12", spot=True, as_of="")]
    assert marked(*pair) == ["", "spot_floor"]
    pair[1] = pair[1]._replace(as_of="2026-11-01")
    assert marked(*pair) == ["", ""]


def test_a_local_zone_is_no_ordinary_place() -> None:
    zones = ("use1-az1", "use1-atl2-az1", "")
    assert marked(*(price("aws", "1", zone=zone) for zone in zones)) == ["", "local_zone", ""]


def test_a_list_and_a_catalog_that_disagree_dispute_the_lower() -> None:
    listed = price("runpod", "1.49", region="", source="list")
    placed = [price("runpod", usd, region=usd, as_of="", source="catalog") for usd in ("1.59", "2")]
    assert marked(listed, *placed) == ["disputed", "", ""]
    assert marked(listed._replace(usd=Decimal("1.7")), *placed) == ["", "disputed", ""]
    # A list rounds to cents.
    assert marked(listed._replace(usd=Decimal("1.594")), *placed) == ["", "", ""]


def test_a_finding_says_its_numbers() -> None:
    low, high = findings([*MARKET, price("vast", "0.45"), price("gcp", "95")])[3:]
    assert [one.why for one in low] == ["45.0% of the median of $1.000 a GPU over 5 clouds"]
    assert [one.why for one in high] == ["95 times the median of $1.000 a GPU over 5 clouds"]


def test_an_empty_table_has_no_marks() -> None:
    assert marks([]) == []


# --- laws ------------------------------------------------------------------------------------

tables = st.lists(
    st.builds(
        price,
        st.sampled_from(["aws", "gcp", "azure", "runpod"]),
        st.sampled_from(["0.05", "0.1", "0.5", "0.9", "1", "1.5", "3", "30"]),
        spot=st.booleans(),
        region=st.sampled_from(["", "a", "b"]),
        count=st.sampled_from([1, 8]),
        as_of=st.sampled_from(["", "2026-11-01"]),
        source=st.sampled_from(["list", "catalog"]),
    ),
    max_size=25,
    # A table has one price for a machine in a place.
    unique_by=lambda one: (one.cloud, one.region, one.gpu_count, one.spot),
)


@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(prices: list[Price], random) -> None:
    shuffled = random.sample(prices, len(prices))
    assert dict(zip(prices, marks(prices), strict=True)) == dict(
        zip(shuffled, marks(shuffled), strict=True)
    )


@given(tables)
def test_a_market_twice_as_dear_is_as_suspect(prices: list[Price]) -> None:
    relative = {"below_market", "off_market", "reservation", "spot_floor"}
    dearer = [one._replace(usd=one.usd * 2) for one in prices]
    for before, after in zip(marks(prices), marks(dearer), strict=True):
        assert set(before.split()) & relative == set(after.split()) & relative


@given(tables)
def test_marks_are_known_and_stand_once(prices: list[Price]) -> None:
    for cell in marks(prices):
        names = cell.split()
        assert len(set(names)) == len(names)
        assert set(names) <= set(MARKS)
