"""`llmbudget prices show`, `check` and `history` as a user runs them."""

import csv
import json
import subprocess
import sys
from collections import Counter
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from skyserve_llm.cli import run
from skyserve_llm.home import price_store_path
from skyserve_llm.sources.data import pricing_dir
from skyserve_llm.sources.history import HistoryRow
from skyserve_llm.sources.price_store import Snapshot, write_store
from skyserve_llm.types import MARKS

HEADER = (
    "cloud,region,zone,instance_type,gpu,accelerator,gpu_count,spot,price_per_hour,as_of,source"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def prices(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert run(["prices", *args]) == 0
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    return json.loads(prices(capsys, *args, "-o", "json"))


def rows_of(capsys: pytest.CaptureFixture[str], *args: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(prices(capsys, *args, "-o", "csv"))))


def shipped() -> list[dict[str, str]]:
    with (pricing_dir() / "offers.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


# --- show ------------------------------------------------------------------------------------


def test_show_has_the_lowest_price_of_every_cloud_card_count_and_kind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lowest: dict[tuple[str, str, int, bool], Decimal] = {}
    for row in shipped():
        key = row["cloud"], row["gpu"], int(row["gpu_count"]), row["spot"] == "1"
        price = Decimal(row["price_per_hour"])
        lowest[key] = min(price, lowest.get(key, price))
    shown: dict[tuple[str, str, int, bool], Decimal] = {}
    for row in document(capsys, "show")["rows"]:
        key = row["cloud"], row["gpu"], row["gpu_count"], row["spot"]
        shown.setdefault(key, Decimal(row["price_per_hour"]))
    assert shown == lowest


def test_show_narrows_the_market(capsys: pytest.CaptureFixture[str]) -> None:
    rows = document(capsys, "show", "--gpus", "L4:1", "--cloud", "gcp", "--spot")["rows"]
    assert [(row["cloud"], row["gpu"], row["gpu_count"], row["spot"]) for row in rows] == [
        ("gcp", "L4", 1, True)
    ]
    (row,) = rows
    assert row["instance_type"] == "g2-standard-4"
    assert row["places"] > 20
    assert Decimal(row["lowest"]) < Decimal(row["median"]) < Decimal(row["highest"])
    assert 0.5 < row["discount"] < 0.95
    assert row["marks"] == ["undated"]
    assert row["age_days"] is None


@pytest.mark.parametrize(
    ("sort", "column"),
    [("price", "price_per_hour"), ("gpu-price", "price_per_gpu_hour"), ("cloud", "cloud")],
)
def test_show_sorts_and_limits(capsys: pytest.CaptureFixture[str], sort: str, column: str) -> None:
    rows = document(capsys, "show", "--gpus", "H100", "--sort", sort, "--limit", "7")["rows"]
    assert len(rows) == 7
    values = [row[column] if sort == "cloud" else Decimal(row[column]) for row in rows]
    assert values == sorted(values)


def test_show_by_discount_begins_with_the_largest(capsys: pytest.CaptureFixture[str]) -> None:
    rows = document(capsys, "show", "--gpus", "L4", "--sort", "discount")["rows"]
    known = [row["discount"] for row in rows if row["discount"] is not None]
    assert known == sorted(known, reverse=True)
    assert rows[-1]["discount"] is None


def test_the_three_outputs_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("show", "--gpus", "A100-80GB:1")
    told = document(capsys, *flags)["rows"]
    cells = rows_of(capsys, *flags)
    assert [row["price_per_hour"] for row in told] == [row["price_per_hour"] for row in cells]
    assert list(told[0]) == list(cells[0])
    table = prices(capsys, *flags)
    for row in told:
        assert row["instance_type"] in table
    assert "reservation: " in table


def test_show_takes_a_users_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(f"{HEADER}\naws,here,,box,L4,L4,1,0,0.8,2026-11-01,me\n", encoding="utf-8")
    found = document(capsys, "show", "--prices", str(table))
    assert found["snapshot"] == "mine.csv"
    assert [row["source"] for row in found["rows"]] == ["me"]


def test_show_of_nothing_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prices", "show", "--gpus", "GB200:1", "--spot"]) == 3
    assert capsys.readouterr().err.startswith("error: no price in the table matches\n\nhint: ")


# --- check -----------------------------------------------------------------------------------


def test_check_lists_every_marked_price_with_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = shipped()
    marks = Counter(mark for row in table for mark in row["marks"].split())
    marks["undated"] = sum(not row["as_of"] for row in table)
    found = document(capsys, "check")
    assert found["checked"] == len(table)
    assert found["counts"] == {mark: marks[mark] for mark in MARKS if marks[mark]}
    reasons = [reason for row in found["rows"] for reason in row["marks"]]
    assert Counter(reason["mark"] for reason in reasons) == marks
    assert all(reason["why"] for reason in reasons)
    told = {reason["mark"]: reason["why"] for reason in reasons}
    assert "of the median of $" in told["below_market"]
    assert "is above on-demand $" in told["spot_above_on_demand"]


def test_check_as_csv_has_a_line_for_each_reason(capsys: pytest.CaptureFixture[str]) -> None:
    lines = rows_of(capsys, "check", "--mark", "reservation")
    assert {line["cloud"] for line in lines} == {"gcp"}
    assert {line["mark"] for line in lines} <= {"reservation", "undated"}
    assert "likely a reservation price" in lines[0]["why"]


def test_check_as_a_table_counts_undated_prices_and_lists_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = prices(capsys, "check")
    for mark, meaning in MARKS.items():
        assert mark in out
        assert meaning in out
    assert "a2-ultragpu-1g" in out
    # An undated price of which nothing else is wrong.
    assert "gpu_1x_gh200" not in out
    few = prices(capsys, "check", "--mark", "undated", "--cloud", "gcp", "--gpus", "L4:1")
    assert few.count("g2-standard-4") == few.count("it is not known when") - 1


def test_a_clouds_prices_are_held_against_all_clouds(capsys: pytest.CaptureFixture[str]) -> None:
    alone = document(capsys, "check", "--cloud", "verda", "--mark", "below_market")
    assert alone["counts"]["below_market"] > 0
    assert "over 9 clouds" in json.dumps(alone["rows"])


# --- history and pictures ----------------------------------------------------------------------


def remember(*rows: HistoryRow) -> None:
    """A stored table as refreshes leave it: the history of several days, and one price."""
    path = price_store_path()
    path.parent.mkdir(parents=True)
    price = ["gcp", "here", "", "box", "L4", "L4", "1", "1", "0.3", "2098-12-30", "test", ""]
    write_store(path, [price], Snapshot("2098-12-31", "2098-12-31"), [], rows)


def day(number: int, usd: str, *, gpu: str = "L4", spot: bool = True) -> HistoryRow:
    return HistoryRow(date(2098, 12, number), "gcp", gpu, spot, Decimal(usd), f"2098-12-{number}")


def test_history_lists_what_refreshes_found_cheapest(capsys: pytest.CaptureFixture[str]) -> None:
    remember(day(20, "0.31"), day(30, "0.3"), day(30, "0.7", spot=False), day(30, "2", gpu="H100"))
    assert [row["price_per_gpu_hour"] for row in document(capsys, "history", "--gpu", "l4")] == [
        "0.31",
        "0.7",
        "0.3",
    ]
    assert len(document(capsys, "history", "--spot", "--limit", "2")) == 2
    assert [row["day"] for row in rows_of(capsys, "history", "--gpu", "H100")] == ["2098-12-30"]
    assert "$0.3100" in prices(capsys, "history")


def test_no_history_yet_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prices", "history"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "prices refresh" in captured.err
    assert document(capsys, "history") == []


def test_a_picture_is_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "l4.png"
    prices(capsys, "show", "--gpus", "L4", "--plot", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 10_000


def test_a_picture_has_a_bar_a_row_and_a_line_a_series() -> None:
    from skyserve_llm.cli.prices.plot import figure
    from skyserve_llm.sources.gpus import load_gpus
    from skyserve_llm.sources.market import market_rows
    from skyserve_llm.sources.offers import load_offers
    from skyserve_llm.types import GpuRequest, Market

    market = Market(gpus=(GpuRequest(name="L4", count=1),), every_place=True)
    rows = market_rows(load_offers(market, load_gpus())[0], date(2026, 11, 23))
    past = [day(20, "0.31"), day(30, "0.3"), day(20, "0.7", spot=False)]
    now, before = figure(rows, past).axes
    assert len(now.patches) == len(rows)
    assert [len(line.get_xdata()) for line in before.lines] == [1, 2]
    assert [line.get_label() for line in before.lines] == ["gcp L4", "gcp L4 spot"]
    assert len(figure(rows, []).axes) == 1


@pytest.mark.parametrize("name", ["nowhere/x.png", "x.docx"])
def test_a_picture_that_cannot_be_written_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    assert run(["prices", "show", "--gpus", "L4:1", "--plot", str(tmp_path / name)]) == 2
    assert name in capsys.readouterr().err.partition("\n\nhint")[0]


_WITHOUT = """
import sys
sys.modules["{module}"] = None  # what an import finds where nothing is installed
from skyserve_llm.cli import run
sys.exit(run({args}))
"""


@pytest.mark.parametrize(
    ("module", "args", "hint"),
    [
        ("matplotlib", ["prices", "show", "--gpus", "L4", "--plot", "x.png"], "llmbudget[plot]"),
        ("boto3", ["prices", "live", "aws"], "llmbudget[aws]"),
    ],
)
def test_a_missing_extra_is_a_hint(tmp_path: Path, module: str, args: list[str], hint: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(module=module, args=args)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert f"hint: pip install '{hint}'" in done.stderr
