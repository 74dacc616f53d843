"""The refreshed form of a price table: the same answers as the same rows in CSV."""

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyserve_llm.errors import DataError, InputError
from skyserve_llm.home import price_store_path
from skyserve_llm.sources.data import pricing_dir, read_table
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.history import HistoryRow, cheapest_today, read_history
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.price_store import Catalog, Snapshot, StoredTable, write_store
from skyserve_llm.sources.price_table import COLUMNS, Row
from skyserve_llm.types import GpuRequest, Market

GPUS = load_gpus()
SHIPPED_ON = "2026-11-23"
TODAY = Snapshot(day="2099-01-02", shipped=SHIPPED_ON)
_NUMBERS = count()


def row(text: str) -> Row:
    return text.split(",")


L4 = row("gcp,us-central1,us-central1-a,g2-standard-4,L4,L4,1,1,0.28,2098-12-30,here,")
L4_DEAR = row("gcp,europe-west1,europe-west1-b,g2-standard-4,L4,L4,1,1,0.4,,here,")
L4_DOUBTFUL = row("gcp,us-east1,us-east1-b,g2-standard-4,L4,L4,1,1,0.02,,here,off_market")
H100 = row("aws,us-east-1,use1-az1,p5.48xlarge,H100,H100,8,0,98.32,,there,")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "home"))


def store(*rows: Row, snapshot: Snapshot = TODAY, history: tuple[HistoryRow, ...] = ()) -> Path:
    """The table in use from now on."""
    path = price_store_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"draft-{next(_NUMBERS)}")
    before = path if path.exists() else None
    write_store(draft, rows, snapshot, [Catalog("gcp", "here", "2098-12-30")], history, before)
    draft.replace(path)
    return path


def in_csv(folder: Path, rows: list[Row]) -> Path:
    path = folder / f"table-{next(_NUMBERS)}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path


def test_a_refreshed_table_is_used_instead_of_the_shipped_one() -> None:
    store(L4, H100)
    offers, prices = load_offers(Market(), GPUS)
    assert [(one.cloud, one.gpu, one.source) for one in offers] == [
        ("aws", "H100", "there"),
        ("gcp", "L4", "here"),
    ]
    assert offers[0].price_per_hour == Decimal("98.32")
    assert offers[0].marks == ("undated",)
    assert prices.snapshot == "2099-01-02 (refreshed)"
    assert prices.as_of == {"aws": None, "gcp": date(2098, 12, 30)}


def test_a_table_of_ones_own_goes_before_it(tmp_path: Path) -> None:
    store(L4)
    offers, prices = load_offers(Market(), GPUS, in_csv(tmp_path, [H100]))
    assert [one.gpu for one in offers] == ["H100"]
    assert prices.snapshot.startswith("table-")


@pytest.mark.parametrize(
    ("day", "shipped", "used"),
    [
        ("2026-11-20", SHIPPED_ON, True),  # whatever the clock of the machine says
        ("2026-12-24", "2026-05-01", True),
        ("2026-06-01", "2026-05-01", False),  # this release ships newer prices than that
    ],
)
def test_a_newer_release_does_not_keep_older_prices(day: str, shipped: str, used: bool) -> None:
    store(L4, snapshot=Snapshot(day, shipped))
    snapshot = load_offers(Market(), GPUS)[1].snapshot
    assert snapshot == (f"{day} (refreshed)" if used else SHIPPED_ON)


def test_trusted_and_doubtful_prices_stand_side_by_side() -> None:
    store(L4, L4_DEAR, L4_DOUBTFUL)
    offers, _ = load_offers(Market(), GPUS)
    assert [(str(one.price_per_hour), one.suspect) for one in offers] == [
        ("0.02", True),
        ("0.28", False),
    ]


def test_a_region_nobody_knows_is_told() -> None:
    store(L4, L4_DEAR)
    with pytest.raises(InputError, match="unknown region 'us-centrall1'") as caught:
        load_offers(Market(regions=("us-centrall1",)), GPUS)
    assert "did you mean us-central1" in str(caught.value.hint)


# --- a file that cannot be used ----------------------------------------------------------------


def _other_format(path: Path) -> None:
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA user_version = 99")


def _without_offers(path: Path) -> None:
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("DROP TABLE offers")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda path: path.write_bytes(b"half a page of something else" * 9), "not a database"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "malformed"),
        (lambda path: path.write_bytes(b""), "it has format 0"),
        (_other_format, "it has format 99, this release reads 1"),
        (_without_offers, "no such table: offers"),
    ],
)
def test_a_damaged_file_is_one_clear_error(damage, why: str) -> None:
    path = store(L4, H100)
    damage(path)
    with pytest.raises(DataError) as caught:
        load_offers(Market(), GPUS)
    assert str(path) in caught.value.message
    assert why in caught.value.message
    assert "llmbudget prices refresh" in str(caught.value.hint)


def test_a_gpu_of_another_release_is_told() -> None:
    store([*L4[:4], "L5", *L4[5:]])
    with pytest.raises(DataError, match="does not know the GPU L5"):
        load_offers(Market(), GPUS)


# --- history -----------------------------------------------------------------------------------


def test_without_a_refresh_there_is_no_history() -> None:
    assert read_history() == []


def test_a_day_adds_the_cheapest_trusted_price_of_one_gpu() -> None:
    rows = [L4, L4_DEAR, L4_DOUBTFUL, H100]
    assert cheapest_today(rows, date(2099, 1, 2), "s") == [
        HistoryRow(date(2099, 1, 2), "aws", "H100", False, Decimal("12.29"), "s"),
        HistoryRow(date(2099, 1, 2), "gcp", "L4", True, Decimal("0.28"), "s"),
    ]


def test_history_goes_on_from_table_to_table() -> None:
    first, second = date(2099, 1, 1), date(2099, 1, 2)
    store(L4, history=(HistoryRow(first, "gcp", "L4", True, Decimal("0.3"), "a"),))
    store(
        L4,
        history=(
            HistoryRow(second, "gcp", "L4", True, Decimal("100"), "b"),
            HistoryRow(second, "gcp", "T4", True, Decimal("0.1"), "b"),
            HistoryRow(second, "aws", "L4", False, Decimal("0.8"), "b"),
        ),
    )
    # The same day again: what it says of a cloud is what holds.
    store(L4, history=(HistoryRow(second, "gcp", "L4", True, Decimal("0.2"), "c"),))
    told = [(one.day, one.cloud, one.gpu, str(one.price_per_gpu_hour)) for one in read_history()]
    assert told == [
        (first, "gcp", "L4", "0.3"),
        (second, "aws", "L4", "0.8"),
        (second, "gcp", "L4", "0.2"),
    ]
    assert [one.day for one in read_history(clouds=["gcp"], gpus=["L4"], spot=True)] == [
        first,
        second,
    ]
    assert read_history(spot=False, gpus=["T4"]) == []


# --- laws --------------------------------------------------------------------------------------

_MARKETS = st.builds(
    Market,
    spot=st.sampled_from([None, True, False]),
    clouds=st.sampled_from([(), ("gcp",), ("AWS", "azure"), ("verda",)]),
    regions=st.sampled_from([(), ("east",), ("east", "west")]),
    gpus=st.sampled_from(
        [
            (),
            (GpuRequest(name="L4"),),
            (GpuRequest(name="h100", count=8),),
            (GpuRequest(name="L4", count=1), GpuRequest(name="H100")),
        ]
    ),
    max_price=st.sampled_from([None, Decimal("1.5")]),
    every_place=st.booleans(),
    exclude_clouds=st.sampled_from([(), ("aws",)]),
    exclude_regions=st.sampled_from([(), ("west",), ("east", "nowhere")]),
)

_PLACES = st.tuples(
    st.sampled_from(["aws", "gcp", "azure", "verda"]),
    st.sampled_from(["east", "west", ""]),
    st.sampled_from(["", "a"]),
    st.sampled_from(["small", "big"]),
    st.sampled_from(["L4", "H100"]),
    st.sampled_from(["1", "8"]),
    st.sampled_from(["0", "1"]),
)

_ROWS = st.lists(
    st.builds(
        lambda place, cents, as_of, marks: [
            *place[:5], place[4], *place[5:], str(Decimal(cents) / 100), as_of, "s", marks,
        ],
        _PLACES,
        st.integers(1, 300),
        st.sampled_from(["", "2026-06-01"]),
        st.sampled_from(["", "", "disputed", "off_market", "below_market disputed"]),
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda row: tuple(row[:8]),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(_ROWS, st.lists(_MARKETS, min_size=1, max_size=5))
def test_either_form_gives_the_same_offers(tmp_path_factory, rows, markets):
    folder = tmp_path_factory.mktemp("forms")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMBUDGET_HOME", str(folder))
        store(*rows)
        path = in_csv(folder, rows)
        for market in markets:
            assert list(_told(market, None)) == list(_told(market, path))


def _told(market: Market, path: Path | None) -> Iterator[object]:
    try:
        offers, prices = load_offers(market, GPUS, path)
    except InputError as error:
        yield error.message, error.hint
    else:
        yield offers, prices.as_of


def test_either_form_of_the_shipped_table_gives_the_same_offers() -> None:
    shipped = pricing_dir() / "offers.csv"
    path = store(*read_table(shipped, COLUMNS))
    for market in (
        Market(),
        Market(every_place=True),
        Market(clouds=("gcp",), spot=True),
        Market(regions=("us-east-1", "us-central1")),
        Market(gpus=(GpuRequest(name="L4", count=1),), every_place=True),
        Market(exclude_regions=("us-east-1",), max_price=Decimal(5)),
    ):
        ours, theirs = load_offers(market, GPUS)[0], load_offers(market, GPUS, shipped)[0]
        assert ours == theirs
        assert ours
    everything = StoredTable(path, GPUS).everything()
    assert len(everything) == len(read_table(shipped, COLUMNS))
    assert all(len(row) == len(COLUMNS) - 1 for row in everything)
