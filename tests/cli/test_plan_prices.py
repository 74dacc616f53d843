"""Whose prices a plan rests on: a table's, the user's own; and what it makes of doubt."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from skyserve_llm.cli import run
from skyserve_llm.cli.options import PRECEDENCE
from skyserve_llm.sources.data import pricing_dir
from skyserve_llm.types import SUSPECT_MARKS
from skyserve_llm.units import HOURS_PER_MONTH

PHIXTRAL = "mlabonne/phixtral-4x2_8"
HEADER = (
    "cloud,region,zone,instance_type,gpu,accelerator,gpu_count,spot,price_per_hour,as_of,source"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("LLMBUDGET_HOME", str(folder))
    return folder


def row(
    cloud: str, price: str, *, spot: int = 0, as_of: str = "2026-11-01", gpu: str = "L4"
) -> str:
    return f"{cloud},here,,{cloud}-box,{gpu},{gpu},1,{spot},{price},{as_of},my list"


def table(folder: Path, *rows: str) -> str:
    path = folder / "mine.csv"
    path.write_text("\n".join((HEADER, *rows)) + "\n", encoding="utf-8")
    return str(path)


HONEST = (row("aws", "0.80"), row("azure", "0.90"), row("gcp", "1.00"))


def plan(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> dict[str, Any]:
    assert run(["plan", PHIXTRAL, *args, "-o", "json"]) == code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def chosen(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["candidates"][document["chosen"]]
    return found


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert run(["plan", PHIXTRAL, *args]) == 0
    return capsys.readouterr().out


# --- whose prices ----------------------------------------------------------------------------


def test_a_file_of_prices_stands_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    document = plan(capsys, "--prices", table(tmp_path, *HONEST))
    assert [one["cloud"] for one in document["candidates"]] == ["aws", "azure", "gcp"]
    assert {one["price_source"] for one in document["candidates"]} == {"my list"}
    assert document["prices"]["snapshot"] == "mine.csv"
    assert chosen(document)["price_marks"] == []


def test_own_prices_lie_over_the_table(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    (home / "config.toml").write_text('prices = "mine.csv"\n', encoding="utf-8")
    table(home, row("kubernetes", "0.01"))
    document = plan(capsys)
    assert chosen(document)["price_source"] == "my list"
    assert chosen(document)["cloud"] == "kubernetes"
    assert {"aws", "gcp"} < {one["cloud"] for one in document["candidates"]}
    # A file on the command line wins over the settings'.
    alone = plan(capsys, "--prices", table(tmp_path, *HONEST))
    assert "kubernetes" not in {one["cloud"] for one in alone["candidates"]}


def test_a_discount_shows_in_price_and_source(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    flags = ("--cloud", "gcp", "--spot", "--gpus", "L4:1")
    listed = chosen(plan(capsys, *flags))
    (home / "config.toml").write_text("[discounts]\ngcp = 0.5\n", encoding="utf-8")
    paid = chosen(plan(capsys, *flags))
    assert Decimal(paid["price_per_hour"]) == Decimal(listed["price_per_hour"]) / 2
    assert paid["price_source"] == f"{listed['price_source']} x 0.5"
    assert paid["zone"] == listed["zone"]
    # What is paid is what a limit is held against.
    assert plan(capsys, *flags, "--max-price", paid["price_per_hour"])["candidates"]


def test_what_is_excluded_is_left_out_and_said(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    (home / "config.toml").write_text(
        '[exclude]\nclouds = ["aws"]\nregions = ["asia-northeast3"]\n', encoding="utf-8"
    )
    document = plan(capsys, "--spot")
    assert "aws" not in {one["cloud"] for one in document["candidates"]}
    assert "asia-northeast3" not in {one["region"] for one in document["candidates"]}
    assert document["prices"]["excluded"] == ["aws", "asia-northeast3"]
    assert "left out by config.toml: aws, asia-northeast3" in shown(capsys, "--spot")
    # Named on the command line it is wanted.
    assert plan(capsys, "--cloud", "aws")["candidates"]


def test_own_rates_and_a_consolidated_controller_change_the_bill(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    flags = ("--cloud", "gcp", "--spot", "--gpus", "L4:1")
    before = chosen(plan(capsys, *flags))["month"]
    (home / "config.toml").write_text(
        'controller = "consolidated"\n[rates.gcp]\negress_gib = 0\ndisk_gib_month = 1\n',
        encoding="utf-8",
    )
    after = chosen(plan(capsys, *flags))["month"]
    assert Decimal(before["controller"]) > 100
    assert Decimal(after["controller"]) == 0
    assert Decimal(before["egress"]) > 0
    assert Decimal(after["egress"]) == 0
    assert Decimal(after["disk"]) == Decimal(before["disk"]) * 10
    assert "consolidated" in shown(capsys, *flags)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("price = 'x'", "unknown key price"),
        ("[discounts]\naws = 2", "discounts.aws"),
        ("prices = 'nowhere.csv'", "nowhere.csv"),
    ],
)
def test_a_mistake_in_the_settings_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], home: Path, config: str, said: str
) -> None:
    (home / "config.toml").write_text(config, encoding="utf-8")
    assert run(["plan", PHIXTRAL]) == 2
    error = capsys.readouterr().err.partition("\n\nhint")[0]
    assert error.startswith("error: ")
    assert said in error
    assert "\n" not in error.rstrip("\n")


def test_the_order_of_precedence_is_one_documented_line() -> None:
    readme = (pricing_dir() / "README.md").read_text(encoding="utf-8")
    assert PRECEDENCE in " ".join(readme.split())


def test_help_tells_the_order_of_precedence(capsys: pytest.CaptureFixture[str]) -> None:
    run(["plan", "--help"])
    assert PRECEDENCE in " ".join(capsys.readouterr().out.split())


# --- the bill --------------------------------------------------------------------------------


def test_every_line_of_the_bill_is_shown_total_first(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--cloud", "gcp", "--spot", "--gpus", "L4:1", "--replicas", "3")
    month = chosen(plan(capsys, *flags))["month"]
    assert sum(Decimal(month[part]) for part in month if part != "total") == Decimal(month["total"])
    lines = shown(capsys, *flags).split("month     ")[1].splitlines()
    amounts = [f"${Decimal(month[part]):,}" for part in
               ("total", "compute", "disk", "controller", "egress")]  # fmt: skip
    for line, amount in zip(lines, amounts, strict=False):
        assert amount in line
    assert f"{HOURS_PER_MONTH} hours" in lines[0]
    assert "3 x g2-standard-4 spot" in lines[1]


# --- prices in doubt -------------------------------------------------------------------------


def test_a_suspect_price_is_shown_marked_and_not_chosen(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prices = table(tmp_path, *HONEST, row("oci", "0.20"))
    document = plan(capsys, "--prices", prices)
    first = document["candidates"][0]
    assert (first["cloud"], first["price_marks"]) == ("oci", ["below_market"])
    assert chosen(document)["cloud"] == "aws"
    out = shown(capsys, "--prices", prices)
    assert "below_market: on-demand under 60 %" in out
    assert "1 cheaper by a suspect price and so not chosen" in out
    assert "aws" in next(line for line in out.splitlines() if "✔" in line)


def test_a_suspect_price_is_chosen_when_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prices = table(tmp_path, *HONEST, row("oci", "0.20"))
    flags = ("--prices", prices, "--allow-suspect")
    assert chosen(plan(capsys, *flags))["cloud"] == "oci"
    assert "the chosen price is suspect: as --allow-suspect asks" in shown(capsys, *flags)


def test_a_suspect_price_is_chosen_and_said_when_there_is_no_other(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flags = ("--prices", table(tmp_path, *HONEST, row("oci", "0.20")), "--cloud", "oci")
    assert chosen(plan(capsys, *flags))["price_marks"] == ["below_market"]
    assert "no other on offer holds the model" in shown(capsys, *flags)
    for command in (["plan", PHIXTRAL, *flags, "-o", "json"], ["render"], ["deploy"]):
        code = run(command)
        assert "warning: the price of oci-box on oci is suspect" in capsys.readouterr().err
        # deploy goes on to ask, and there is nobody here to answer.
        assert code == (2 if command == ["deploy"] else 0)


def test_an_undated_price_is_marked_and_may_be_chosen(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prices = table(tmp_path, row("aws", "0.80", as_of=""), *HONEST[1:])
    assert chosen(plan(capsys, "--prices", prices))["price_marks"] == ["undated"]
    assert "undated: it is not known when the price was true" in shown(capsys, "--prices", prices)


def test_a_dear_suspect_price_hides_no_trusted_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    there = row("oci", "0.70").replace("here", "there")
    document = plan(capsys, "--prices", table(tmp_path, *HONEST, row("oci", "0.20"), there))
    assert (chosen(document)["cloud"], chosen(document)["region"]) == ("oci", "there")


def test_the_chosen_one_is_shown_however_few_are(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    suspects = [row(cloud, "0.2") for cloud in ("oci", "do", "nebius")]
    more = [row(cloud, "1.1") for cloud in ("paperspace", "fluidstack", "cudo")]
    prices = table(tmp_path, *HONEST, *more, *suspects)
    document = plan(capsys, "--prices", prices, "--limit", "2")
    assert len(document["candidates"]) == 2
    assert chosen(document)["cloud"] == "aws"
    assert chosen(document)["rank"] == 4
    assert "✔" in shown(capsys, "--prices", prices, "--limit", "1")


def test_the_shipped_table_never_chooses_a_suspect_price_silently(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for flags in ((), ("--spot",), ("--on-demand",), ("--gpus", "A100-80GB:1")):
        assert not SUSPECT_MARKS & set(chosen(plan(capsys, *flags))["price_marks"]), flags


def test_deploy_takes_the_trusted_one_of_the_kind_asked_for(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    suspect = row("oci", "0.20")
    prices = table(tmp_path, *HONEST, suspect, row("gcp", "0.5", spot=1))
    assert chosen(plan(capsys, "--prices", prices))["spot"] is True
    assert run(["deploy", "--on-demand", "--dry-run"]) == 0
    assert "on aws/here" in capsys.readouterr().err


def test_a_local_service_costs_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    plan(capsys, "--cloud", "gcp", "--spot")
    assert run(["deploy", "--local", "--dry-run"]) == 0
    assert "$" not in capsys.readouterr().err
    assert run(["deploy", "--dry-run"]) == 0
    assert "with SkyServe's controller" in capsys.readouterr().err
