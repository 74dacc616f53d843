"""A price table under its user's own terms."""

from decimal import Decimal
from pathlib import Path

from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.own_prices import OwnPrices, own_prices
from skyserve_llm.sources.price_table import COLUMNS, PRICE, SOURCE, CsvTable, PriceTable, Wanted
from skyserve_llm.sources.settings import Settings

GPUS, CLOUDS = load_gpus(), load_clouds()
EVERYTHING = Wanted(clouds=frozenset(CLOUDS), every_place=True)
CHEAPEST = Wanted(clouds=frozenset(CLOUDS))

EAST = "aws,us-east-1,,g6.xlarge,L4,L4,1,0,0.80,2026-11-01,list,"
WEST = "aws,us-west-2,,g6.xlarge,L4,L4,1,0,0.90,2026-11-01,list,"
SPOT = "aws,us-east-1,,g6.xlarge,L4,L4,1,1,0.30,2026-11-01,list,"
GCP = "gcp,us-central1,,g2-standard-4,L4,L4,1,0,0.70,2026-11-01,list,reservation"
LISTED = (EAST, WEST, SPOT, GCP)


def csv(folder: Path, name: str, *rows: str) -> Path:
    path = folder / name
    path.write_text("\n".join((",".join(COLUMNS), *rows)) + "\n", encoding="utf-8")
    return path


def table(folder: Path, *own: str, **discounts: str) -> OwnPrices:
    listed = CsvTable(csv(folder, "listed.csv", *LISTED), GPUS, CLOUDS)
    mine = CsvTable(csv(folder, "own.csv", *own), GPUS, CLOUDS) if own else None
    factors = {cloud: Decimal(text) for cloud, text in discounts.items()}
    return OwnPrices(listed, mine, factors)


def told(table: PriceTable, wanted: Wanted = EVERYTHING) -> list[str]:
    rows, amounts = table.rows(wanted)
    assert all(amounts[row[PRICE]] == Decimal(row[PRICE]) for row in rows)
    return sorted(f"{row[0]} {row[1]} {row[7]} {row[PRICE]} {row[SOURCE]}" for row in rows)


def test_a_discount_is_on_one_clouds_prices_and_said(tmp_path: Path) -> None:
    assert told(table(tmp_path, aws="0.5")) == [
        "aws us-east-1 0 0.4 list x 0.5",
        "aws us-east-1 1 0.15 list x 0.5",
        "aws us-west-2 0 0.45 list x 0.5",
        "gcp us-central1 0 0.70 list",
    ]


def test_an_own_price_replaces_that_of_the_same_machine_in_the_same_place(tmp_path: Path) -> None:
    own = EAST.replace("0.80", "0.95").replace("list", "contract")
    found = told(table(tmp_path, own))
    assert "aws us-east-1 0 0.95 contract" in found
    assert len(found) == len(LISTED)
    # The cheapest place is now another.
    assert "aws us-west-2 0 0.90 list" in told(table(tmp_path, own), CHEAPEST)


def test_an_own_price_without_a_region_holds_wherever_the_machine_is_listed(
    tmp_path: Path,
) -> None:
    own = "aws,,,g6.xlarge,L4,L4,1,0,0.50,2026-11-02,contract,"
    found = told(table(tmp_path, own))
    assert "aws us-east-1 0 0.50 contract" in found
    assert "aws us-west-2 0 0.50 contract" in found
    assert "aws us-east-1 1 0.30 list" in found
    assert len(found) == len(LISTED)
    west = EVERYTHING._replace(regions=frozenset({"us-west-2"}))
    assert told(table(tmp_path, own), west) == ["aws us-west-2 0 0.50 contract"]


def test_an_own_machine_that_is_not_listed_is_added(tmp_path: Path) -> None:
    own = "kubernetes,cellar,,rack-1,H100,H100,8,0,4.00,2026-11-02,electricity,"
    assert "kubernetes cellar 0 4.00 electricity" in told(table(tmp_path, own))
    assert table(tmp_path, own).regions({"kubernetes"}) == {"cellar"}
    elsewhere = EVERYTHING._replace(regions=frozenset({"us-west-2"}))
    assert told(table(tmp_path, own), elsewhere) == ["aws us-west-2 0 0.90 list"]


def test_no_discount_goes_on_an_own_price(tmp_path: Path) -> None:
    own = EAST.replace("list", "contract")
    assert "aws us-east-1 0 0.80 contract" in told(table(tmp_path, own, aws="0.5"))


def test_an_own_price_is_not_suspect(tmp_path: Path) -> None:
    assert [row[-1] for row in table(tmp_path).rows(EVERYTHING)[0]].count("reservation") == 1
    own = GCP.replace("0.70", "0.10")
    assert {row[-1] for row in table(tmp_path, own).rows(EVERYTHING)[0]} == {""}


def test_the_listed_rows_stay_as_they_are(tmp_path: Path) -> None:
    listed = CsvTable(csv(tmp_path, "listed.csv", *LISTED), GPUS, CLOUDS)
    before = [row.copy() for row in listed.rows(EVERYTHING)[0]]
    own = CsvTable(csv(tmp_path, "own.csv", EAST.replace("0.80", "1")), GPUS, CLOUDS)
    OwnPrices(listed, own, {"aws": Decimal("0.5")}).rows(EVERYTHING)
    assert listed.rows(EVERYTHING)[0] == before


def test_settings_without_terms_price_nothing(tmp_path: Path) -> None:
    assert not Settings(exclude_clouds=("vast",)).price_anything
    listed = CsvTable(csv(tmp_path, "listed.csv", *LISTED), GPUS, CLOUDS)
    own = csv(tmp_path, "own.csv", EAST.replace("0.80", "1"))
    terms = Settings(prices=own, discounts={"gcp": Decimal("0.5")})
    assert terms.price_anything
    assert told(own_prices(listed, terms, GPUS, CLOUDS), CHEAPEST) == [
        "aws us-east-1 1 0.30 list",
        "aws us-west-2 0 0.90 list",
        "gcp us-central1 0 0.35 list x 0.5",
    ]
