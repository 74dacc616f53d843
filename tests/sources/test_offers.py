"""Offers out of a price table: which ones a market gets, and what is refused."""

import itertools
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.errors import DataError, InputError
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.price_table import COLUMNS
from skyserve_llm.types import GpuRequest, Market, Offer

GPUS = load_gpus()

AWS_L4 = "aws,us-east-1,use1-az1,g6.xlarge,L4,L4,1,0,0.8048,,skypilot-v8-aws"
AWS_L4_SPOT = "aws,us-east-1,use1-az1,g6.xlarge,L4,L4,1,1,0.3,,skypilot-v8-aws"
GCP_L4_SPOT = "gcp,us-central1,us-central1-a,g2-standard-4,L4,L4,1,1,0.28,2026-06-01,somebody"
GCP_L4_SPOT_DEAR = "gcp,europe-west1,europe-west1-b,g2-standard-4,L4,L4,1,1,0.4,2026-05-01,somebody"
GCP_L4X2 = "gcp,us-central1,us-central1-a,g2-standard-24,L4,L4,2,0,1.99428,,somebody"
GCP_A100 = "gcp,us-central1,us-central1-a,a2-highgpu-1g,A100,A100,1,0,3.67,2026-06-01,somebody"
VERDA_H100 = "verda,FIN-01,,1H100.80S.32V,H100,H100,1,1,0.8,,somebody"
AKASH_RTX = "akash,,,akash-rtx4090,RTX4090,RTX4090,1,0,0.2,,somebody"
RUNPOD_ANYWHERE = "runpod,,,1x_L4_SECURE,L4,L4,1,0,0.44,2026-05-24,gpu-pricing"
ALL = (
    AWS_L4,
    AWS_L4_SPOT,
    GCP_L4_SPOT,
    GCP_L4_SPOT_DEAR,
    GCP_L4X2,
    GCP_A100,
    VERDA_H100,
    AKASH_RTX,
    RUNPOD_ANYWHERE,
)


def table(folder: Path, *rows: str) -> Path:
    """A table whose rows have no marks: what follows is not about them."""
    path = folder / "prices.csv"
    marked = [f"{row}," for row in rows]
    path.write_text("\n".join((",".join(COLUMNS), *marked)) + "\n", encoding="utf-8")
    return path


def load(folder: Path, market: Market, *rows: str) -> list[Offer]:
    return load_offers(market, GPUS, table(folder, *(rows or ALL)))[0]


def places(offers: list[Offer]) -> list[tuple[str, str, int, bool, str]]:
    return [(one.cloud, one.gpu, one.gpu_count, one.spot, one.region) for one in offers]


def test_a_row_becomes_an_offer(tmp_path: Path):
    offers = load(tmp_path, Market(), GCP_L4_SPOT, AWS_L4, RUNPOD_ANYWHERE)
    assert offers == [
        Offer(
            cloud="aws",
            region="us-east-1",
            zone="use1-az1",
            instance_type="g6.xlarge",
            gpu="L4",
            accelerator="L4",
            gpu_count=1,
            spot=False,
            price_per_hour=Decimal("0.8048"),
            as_of=None,
            source="skypilot-v8-aws",
            marks=("undated",),
        ),
        Offer(
            cloud="gcp",
            region="us-central1",
            zone="us-central1-a",
            instance_type="g2-standard-4",
            gpu="L4",
            accelerator="L4",
            gpu_count=1,
            spot=True,
            price_per_hour=Decimal("0.28"),
            as_of=date(2026, 6, 1),
            source="somebody",
        ),
        # A price of a whole cloud names no region: SkyPilot finds one.
        Offer(
            cloud="runpod",
            region="",
            zone=None,
            instance_type="1x_L4_SECURE",
            gpu="L4",
            accelerator="L4",
            gpu_count=1,
            spot=False,
            price_per_hour=Decimal("0.44"),
            as_of=date(2026, 5, 24),
            source="gpu-pricing",
        ),
    ]


def test_only_the_cheapest_place_stands_for_each_cloud_gpu_count_and_spot(tmp_path: Path):
    assert places(load(tmp_path, Market())) == [
        ("aws", "L4", 1, False, "us-east-1"),
        ("aws", "L4", 1, True, "us-east-1"),
        ("gcp", "A100", 1, False, "us-central1"),
        ("gcp", "L4", 1, True, "us-central1"),
        ("gcp", "L4", 2, False, "us-central1"),
        ("runpod", "L4", 1, False, ""),
    ]


def test_every_place_is_given_when_asked_for(tmp_path: Path):
    offers = load(tmp_path, Market(clouds=("gcp",), spot=True, every_place=True))
    assert places(offers) == [
        ("gcp", "L4", 1, True, "us-central1"),
        ("gcp", "L4", 1, True, "europe-west1"),
    ]


def test_clouds_where_nothing_can_serve_are_offered_by_name_only(tmp_path: Path):
    # SkyPilot rents on Verda but opens no port there, and does not know Akash at all.
    by_default = {offer.cloud for offer in load(tmp_path, Market())}
    assert by_default == {"aws", "gcp", "runpod"}
    named = load(tmp_path, Market(clouds=("verda", "akash")))
    assert {offer.cloud for offer in named} == {"verda", "akash"}


@pytest.mark.parametrize(
    ("market", "count"),
    [
        (Market(spot=True), 2),
        (Market(spot=False), 4),
        (Market(clouds=("GCP",)), 3),
        (Market(clouds=("aws", "gcp"), spot=False), 3),
        (Market(regions=("US-East-1",)), 2),
        (Market(regions=("europe-west1",)), 1),
        (Market(gpus=(GpuRequest(name="l4"),)), 5),
        (Market(gpus=(GpuRequest(name="l4", count=2),)), 1),
        (Market(gpus=(GpuRequest(name="L4", count=1), GpuRequest(name="a100"))), 5),
        (Market(gpus=(GpuRequest(name="H100"),)), 0),
        (Market(gpus=(GpuRequest(name="L4", count=3),)), 0),
        (Market(max_price=Decimal("0.44")), 3),
        (Market(max_price=Decimal("0.01")), 0),
        (Market(clouds=("azure",)), 0),
    ],
)
def test_a_market_limits_what_is_offered(tmp_path: Path, market: Market, count: int):
    assert len(load(tmp_path, market)) == count


def test_a_region_limit_picks_the_cheapest_within_it(tmp_path: Path):
    (offer,) = load(tmp_path, Market(regions=("europe-west1",), spot=True))
    assert offer.price_per_hour == Decimal("0.4")


def test_ties_go_to_the_first_place(tmp_path: Path):
    rows = [GCP_L4_SPOT.replace("us-central1", name) for name in ("us-west1", "us-east1")]
    for order in itertools.permutations(rows):
        (offer,) = load(tmp_path, Market(), *order)
        assert offer.region == "us-east1"


def test_names_are_found_whatever_their_case_and_hyphens(tmp_path: Path):
    row = GCP_A100.replace(",A100,A100,", ",A100-80GB,A100-80GB,")
    for name in ("A100-80GB", "a100-80gb", "A100_80GB", "a100 80gb"):
        assert load(tmp_path, Market(gpus=(GpuRequest(name=name),)), row)


def test_aliases_of_clouds_are_understood(tmp_path: Path):
    row = "do,tor1,,gpu-h100x1-80gb,H100,H100,1,0,6.74,,somebody"
    (offer,) = load(tmp_path, Market(clouds=("DigitalOcean",)), row)
    assert offer.cloud == "do"


@pytest.mark.parametrize(
    ("market", "message", "hint"),
    [
        (Market(clouds=("gpc",)), "unknown cloud 'gpc'", "did you mean gcp"),
        (Market(clouds=("",)), "unknown cloud ''", "known clouds: akash, aws, azure"),
        (Market(regions=("us-centrall1",)), "unknown region", "did you mean us-central1"),
        (Market(clouds=("aws",), regions=("us-central1",)), "unknown region", "us-east-1"),
        (Market(gpus=(GpuRequest(name="L5"),)), "unknown GPU 'L5'", "known GPUs: A10, A100"),
        (Market(gpus=(GpuRequest(name="H10O"),)), "unknown GPU 'H10O'", "did you mean H100"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones(
    tmp_path: Path, market: Market, message: str, hint: str
):
    with pytest.raises(InputError) as caught:
        load(tmp_path, market)
    assert message in caught.value.message
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    assert not isinstance(caught.value, DataError)


def test_a_known_region_with_no_spot_is_an_empty_market_not_a_mistake(tmp_path: Path):
    assert load(tmp_path, Market(spot=True, regions=("us-east-1",)), AWS_L4) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("cloud", "GCP"),
        ("cloud", "mycloud"),
        ("gpu", "H1000"),
        ("gpu_count", "0"),
        ("gpu_count", "1.0"),
        ("gpu_count", "01"),
        ("gpu_count", "²"),
        ("spot", "true"),
        ("price_per_hour", ""),
        ("price_per_hour", "0"),
        ("price_per_hour", "-1"),
        ("price_per_hour", "free"),
        ("price_per_hour", "NaN"),
        ("price_per_hour", "Infinity"),
        ("as_of", "2026-13-01"),
        ("as_of", "20260601"),
        ("instance_type", ""),
        ("accelerator", ""),
        ("source", ""),
    ],
)
def test_a_broken_row_is_told_whatever_is_asked_for(tmp_path: Path, column: str, value: str):
    cells = GCP_A100.split(",")
    cells[COLUMNS.index(column)] = value
    path = table(tmp_path, AWS_L4, ",".join(cells))
    # Asking for AWS alone must not hide that the table is broken.
    with pytest.raises(DataError) as caught:
        load_offers(Market(clouds=("aws",)), GPUS, path)
    assert f"{path}, line 3, column {column}: {value!r}" in caught.value.message


def test_another_header_is_refused(tmp_path: Path):
    path = tmp_path / "prices.csv"
    path.write_text("cloud,price\naws,1\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 1: the header is"):
        load_offers(Market(), GPUS, path)


def test_an_empty_table_has_no_offers(tmp_path: Path):
    path = tmp_path / "prices.csv"
    path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    offers, snapshot = load_offers(Market(), GPUS, path)
    assert offers == []
    assert snapshot.as_of == {}


def test_the_snapshot_tells_how_old_the_prices_in_use_are(tmp_path: Path):
    path = table(tmp_path, GCP_L4_SPOT, GCP_L4_SPOT_DEAR, AWS_L4)
    _, cheapest = load_offers(Market(), GPUS, path)
    assert cheapest.snapshot == "prices.csv"
    assert cheapest.as_of == {"aws": None, "gcp": date(2026, 6, 1)}
    _, everywhere = load_offers(Market(every_place=True), GPUS, path)
    assert everywhere.as_of == {"aws": None, "gcp": date(2026, 5, 1)}


def test_one_undated_offer_leaves_its_cloud_undated(tmp_path: Path):
    path = table(tmp_path, GCP_A100, GCP_L4X2, GCP_L4_SPOT)
    assert load_offers(Market(), GPUS, path)[1].as_of == {"gcp": None}


# --- marks -----------------------------------------------------------------------------------


def marked(folder: Path, *rows: str) -> list[Offer]:
    path = folder / "prices.csv"
    path.write_text("\n".join((",".join(COLUMNS), *rows)) + "\n", encoding="utf-8")
    return load_offers(Market(), GPUS, path)[0]


def test_a_suspect_price_stands_beside_the_cheapest_trusted_one(tmp_path: Path):
    doubtful = GCP_L4_SPOT.replace("0.28", "0.02") + ",off_market disputed"
    offers = marked(tmp_path, f"{GCP_L4_SPOT},", f"{GCP_L4_SPOT_DEAR},", doubtful)
    assert [(str(one.price_per_hour), one.suspect) for one in offers] == [
        ("0.02", True),
        ("0.28", False),
    ]
    assert offers[0].marks == ("off_market", "disputed")


def test_a_suspect_price_that_undercuts_nothing_is_left_out(tmp_path: Path):
    dear = f"{GCP_L4_SPOT_DEAR},spot_above_on_demand"
    assert places(marked(tmp_path, f"{GCP_L4_SPOT},", dear)) == [
        ("gcp", "L4", 1, True, "us-central1")
    ]


def test_where_every_price_is_suspect_the_cheapest_is_given(tmp_path: Path):
    rows = [f"{row},off_market" for row in (GCP_L4_SPOT, GCP_L4_SPOT_DEAR)]
    assert places(marked(tmp_path, *rows)) == [("gcp", "L4", 1, True, "us-central1")]


def test_a_table_without_marks_is_marked_as_it_is_read(tmp_path: Path):
    path = tmp_path / "own.csv"
    rows = (AWS_L4, GCP_L4X2, GCP_L4X2.replace("1.99428", "3").replace("us-central1", "us-east1"))
    path.write_text("\n".join((",".join(COLUMNS[:-1]), *rows)) + "\n", encoding="utf-8")
    offers, _ = load_offers(Market(every_place=True), GPUS, path)
    assert [one.marks for one in offers] == [("undated",), ("reservation", "undated"), ("undated",)]


def test_what_a_market_leaves_out_is_left_out_before_the_cheapest_is_taken(tmp_path: Path):
    market = Market(spot=True, exclude_clouds=("aws",), exclude_regions=("us-central1", "nowhere"))
    assert places(load(tmp_path, market)) == [("gcp", "L4", 1, True, "europe-west1")]


# --- laws ------------------------------------------------------------------------------------

rows = st.lists(
    st.builds(
        lambda cloud, region, machine, gpu, count, spot, cents: (
            f"{cloud},{region},,{machine},{gpu},{gpu},{count},{spot},{cents / 100},,s"
        ),
        st.sampled_from(["aws", "gcp", "azure"]),
        st.sampled_from(["east", "west"]),
        st.sampled_from(["small", "big"]),
        st.sampled_from(["L4", "H100"]),
        st.sampled_from([1, 8]),
        st.sampled_from([0, 1]),
        st.integers(1, 500),
    ),
    min_size=1,
    max_size=30,
)


@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(tmp_path_factory, given_rows, random):
    folder = tmp_path_factory.mktemp("order")
    shuffled = random.sample(given_rows, len(given_rows))
    for market in (Market(), Market(every_place=True)):
        assert load(folder, market, *given_rows) == load(folder, market, *shuffled)


@given(rows)
def test_what_stands_for_a_group_is_its_minimum(tmp_path_factory, given_rows):
    folder = tmp_path_factory.mktemp("minimum")
    everywhere = load(folder, Market(every_place=True), *given_rows)
    cheapest = load(folder, Market(), *given_rows)

    def group(offer: Offer) -> tuple[str, str, int, bool]:
        return offer.cloud, offer.gpu, offer.gpu_count, offer.spot

    assert len(everywhere) == len(given_rows)
    assert sorted({group(offer) for offer in everywhere}) == [group(offer) for offer in cheapest]
    for offer in cheapest:
        rivals = [one.price_per_hour for one in everywhere if group(one) == group(offer)]
        assert offer.price_per_hour == min(rivals)


@given(rows, st.booleans(), st.integers(0, 500))
def test_a_limit_keeps_exactly_what_meets_it(tmp_path_factory, given_rows, spot, cents):
    folder = tmp_path_factory.mktemp("limit")
    limit = Decimal(cents) / 100
    everywhere = load(folder, Market(every_place=True), *given_rows)
    limited = load(folder, Market(every_place=True, spot=spot, max_price=limit), *given_rows)
    assert limited == [
        offer for offer in everywhere if offer.spot == spot and offer.price_per_hour <= limit
    ]
