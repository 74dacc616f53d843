"""What a market looks like: rows out of offers."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.sources.market import MarketRow, market_rows
from skyserve_llm.types import Offer

TODAY = date(2026, 11, 23)


def offer(
    usd: str,
    zone: str = "a",
    *,
    cloud: str = "gcp",
    spot: bool = False,
    machine: str = "box",
    count: int = 1,
    marks: tuple[str, ...] = (),
) -> Offer:
    return Offer(
        cloud=cloud,
        region="here",
        zone=zone,
        instance_type=machine,
        gpu="L4",
        accelerator="L4",
        gpu_count=count,
        spot=spot,
        price_per_hour=Decimal(usd),
        as_of=None if "undated" in marks else date(2026, 11, 20),
        source="test",
        marks=marks,
    )


def only(*offers: Offer) -> MarketRow:
    (row,) = market_rows(offers, TODAY)
    return row


def test_the_cheapest_zone_speaks_for_a_cloud_and_the_others_are_its_spread() -> None:
    row = only(offer("3", "c"), offer("1", "a"), offer("2", "b"), offer("9", "a", machine="big"))
    assert (row.price_per_hour, row.zone) == (1, "a")
    assert (row.places, row.lowest, row.median, row.highest) == (3, 1, 2, 3)
    assert row.age_days == 3


def test_each_cloud_count_and_kind_is_a_row_and_the_cheapest_comes_first() -> None:
    rows = market_rows(
        [
            offer("2"),
            offer("0.5", spot=True),
            offer("4", count=2, machine="two"),
            offer("1", cloud="aws"),
        ],
        TODAY,
    )
    shown = [(row.cloud, row.gpu_count, row.spot, row.price_per_gpu_hour) for row in rows]
    assert shown == [
        ("gcp", 1, True, Decimal("0.5")),
        ("aws", 1, False, Decimal(1)),
        ("gcp", 1, False, Decimal(2)),
        ("gcp", 2, False, Decimal(2)),
    ]


def test_what_spot_saves_is_told_of_the_same_machine_in_the_same_place() -> None:
    spot, *_ = market_rows([offer("1", "a"), offer("2", "b"), offer("0.5", "b", spot=True)], TODAY)
    assert spot.discount == 0.75
    elsewhere, *_ = market_rows(
        [offer("1", "a"), offer("2", "b"), offer("0.5", "c", spot=True)], TODAY
    )
    assert elsewhere.discount == 0.5
    assert only(offer("0.5", spot=True)).discount is None


def test_a_suspect_price_stands_beside_the_cheapest_trusted_one() -> None:
    rows = market_rows(
        [offer("0.1", "a", marks=("off_market",)), offer("1", "b"), offer("2", "c")], TODAY
    )
    assert [(row.price_per_hour, row.marks) for row in rows] == [
        (Decimal("0.1"), ("off_market",)),
        (Decimal(1), ()),
    ]


def test_an_undated_price_has_no_age() -> None:
    assert only(offer("1", marks=("undated",))).age_days is None


offers = st.lists(
    st.builds(
        offer,
        st.integers(1, 500).map(lambda cents: str(Decimal(cents) / 100)),
        st.sampled_from("abc"),
        cloud=st.sampled_from(["gcp", "aws"]),
        spot=st.booleans(),
        machine=st.sampled_from(["box", "big"]),
        marks=st.sampled_from([(), ("undated",), ("below_market",)]),
    ),
    min_size=1,
    max_size=20,
)


@given(offers)
def test_no_price_is_below_its_row_nor_outside_its_spread(offers: list[Offer]) -> None:
    rows = market_rows(offers, TODAY)
    for one in offers:
        mine = [row for row in rows if (row.cloud, row.spot) == (one.cloud, one.spot)]
        assert min(row.price_per_hour for row in mine) <= one.price_per_hour
        assert mine[0].lowest == min(row.price_per_hour for row in mine)
        assert mine[0].lowest <= mine[0].median <= mine[0].highest
        if not one.suspect:
            trusted = [row for row in mine if not {"below_market"} & set(row.marks)]
            assert min(row.price_per_hour for row in trusted) <= one.price_per_hour


@given(offers, st.randoms(use_true_random=False))
def test_the_order_of_offers_changes_nothing(offers: list[Offer], random) -> None:
    shuffled = random.sample(offers, len(offers))

    def told(rows: list[MarketRow]) -> list[tuple[object, ...]]:
        return [(row.cloud, row.spot, row.price_per_hour, row.lowest, row.median) for row in rows]

    assert told(market_rows(offers, TODAY)) == told(market_rows(shuffled, TODAY))
