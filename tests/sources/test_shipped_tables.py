"""Invariants of the tables under ``pricing/``: what must hold of the data we ship."""

import csv
import json
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest

from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.data import pricing_dir
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.rates import load_rates
from skyserve_llm.sources.suspicion import Price
from skyserve_llm.sources.suspicion import marks as suspicion_marks
from skyserve_llm.types import MARKS, GpuRequest, Market, Offer

GPUS = load_gpus()
CLOUDS = load_clouds()
SNAPSHOT = json.loads((pricing_dir() / "snapshot.json").read_text(encoding="utf-8"))
EVERYTHING = load_offers(Market(clouds=tuple(CLOUDS), every_place=True), GPUS)[0]


def dicts(name: str) -> list[dict[str, str]]:
    with (pricing_dir() / name).open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def cheapest(market: Market, smallest_mib: int = 0) -> Offer:
    offers, _ = load_offers(market, GPUS)
    fitting = [one for one in offers if GPUS[one.gpu].memory_mib >= smallest_mib]
    return min(fitting, key=lambda one: one.price_per_hour)


def test_the_snapshot_counts_what_is_there():
    assert SNAPSHOT["rows"] == len(EVERYTHING) > 2000
    assert SNAPSHOT["dated_rows"] == sum(one.as_of is not None for one in EVERYTHING)
    assert SNAPSHOT["raw_prices"] == SNAPSHOT["rows"] + sum(SNAPSHOT["dropped"].values())


def test_the_readme_tells_the_same_counts():
    readme = (pricing_dir() / "README.md").read_text(encoding="utf-8")
    assert f"{SNAPSHOT['raw_prices']} prices" in readme
    assert f"{SNAPSHOT['rows']} are kept" in readme
    assert f"{SNAPSHOT['dated_rows']} of them" in readme
    for reason, count in SNAPSHOT["dropped"].items():
        assert f"| {count} | {reason} |" in readme
    for source in dicts("sources.csv"):
        assert source["url"] in readme
    marked = Counter(mark for one in EVERYTHING for mark in one.marks)
    for mark, meaning in MARKS.items():
        assert f"| {marked[mark]} | `{mark}` | {meaning} |" in readme


def test_no_offer_stands_twice():
    keys = [
        (one.cloud, one.region, one.zone, one.instance_type, one.gpu_count, one.spot)
        for one in EVERYTHING
    ]
    assert len(keys) == len(set(keys))


def test_prices_are_of_this_world():
    # The cheapest GPU anywhere is cents an hour, the dearest below 50 dollars.
    for offer in EVERYTHING:
        per_gpu = offer.price_per_hour / offer.gpu_count
        assert Decimal("0.03") < per_gpu < 50, offer
        assert offer.price_per_hour.is_finite()
        # Other counts (a dozen, a rack) are no tensor-parallel group: the importers drop them.
        assert offer.gpu_count in (1, 2, 4, 8, 16)
        assert offer.source


def test_marks_are_what_the_rules_say_of_this_table():
    rows = dicts("offers.csv")
    prices = [
        Price(
            cloud=row["cloud"],
            region=row["region"],
            zone=row["zone"],
            instance_type=row["instance_type"],
            gpu=row["gpu"],
            gpu_count=int(row["gpu_count"]),
            spot=row["spot"] == "1",
            usd=Decimal(row["price_per_hour"]),
            as_of=row["as_of"],
            source=row["source"],
        )
        for row in rows
    ]
    assert [row["marks"] for row in rows] == suspicion_marks(prices)


def test_a_price_without_a_date_says_so():
    assert all(("undated" in one.marks) == (one.as_of is None) for one in EVERYTHING)


def test_every_gpu_that_has_prices_has_one_to_trust():
    trusted = {one.gpu for one in EVERYTHING if not one.suspect}
    assert trusted == {one.gpu for one in EVERYTHING}


def test_known_wrong_prices_are_suspect():
    # GCP's reservation prices, about half of the list's.
    market = Market(clouds=("gcp",), gpus=(GpuRequest(name="A100-80GB", count=1),), spot=False)
    offers = load_offers(market, GPUS)[0]
    assert [one.suspect for one in offers] == [True, False]
    assert offers[0].price_per_hour < 3
    assert offers[1].price_per_hour > 5
    # Azure's undated spot, near a tenth of on-demand.
    azure = [one for one in EVERYTHING if one.cloud == "azure" and one.spot]
    assert sum(one.suspect for one in azure) > 0.9 * len(azure)


def test_spot_is_below_on_demand_of_the_same_machine_or_marked():
    prices: dict[tuple[object, ...], dict[bool, Offer]] = defaultdict(dict)
    for one in EVERYTHING:
        machine = (one.cloud, one.region, one.zone, one.instance_type, one.gpu_count)
        prices[machine][one.spot] = one
    pairs = [both for both in prices.values() if len(both) == 2]
    assert len(pairs) > 500
    for both in pairs:
        below = both[True].price_per_hour < both[False].price_per_hour
        assert below or "spot_above_on_demand" in both[True].marks


def test_spot_is_offered_only_where_skypilot_has_it():
    clouds = {one.cloud for one in EVERYTHING if one.spot and CLOUDS[one.cloud].skypilot}
    assert clouds <= {cloud.id for cloud in CLOUDS.values() if cloud.spot}


def test_a_price_is_never_of_the_future():
    made = date.fromisoformat(SNAPSHOT["snapshot"])
    assert all(one.as_of <= made for one in EVERYTHING if one.as_of)
    assert all(rate.as_of <= made for rate in load_rates().values() if rate.as_of)


def test_every_source_is_explained():
    sources = {row["id"]: row for row in dicts("sources.csv")}
    assert {one.source for one in EVERYTHING} == set(sources)
    assert all(row["what"] and row["licence"] and row["as_of_note"] for row in sources.values())


def test_the_table_is_sorted_and_plain():
    rows = dicts("offers.csv")
    keys = [
        (
            row["cloud"],
            row["gpu"],
            int(row["gpu_count"]),
            row["region"],
            row["zone"],
            row["instance_type"],
            row["spot"],
        )
        for row in rows
    ]
    assert keys == sorted(keys)
    assert all(set(row["price_per_hour"]) <= set("0123456789.") for row in rows)


def test_a_place_is_named_wherever_skypilot_prices_by_place():
    anywhere = [one for one in EVERYTHING if not one.region and CLOUDS[one.cloud].skypilot]
    assert {one.source for one in anywhere} == {"gpu-pricing"}
    # The machine must still be one that SkyPilot can be asked for.
    assert not [one for one in anywhere if one.instance_type.startswith(one.cloud)]


def test_gpu_facts_hold_together():
    assert {one.gpu for one in EVERYTHING} <= set(GPUS)
    for gpu in GPUS.values():
        assert 8 * 1024 <= gpu.memory_mib <= 512 * 1024, gpu
        if gpu.fp8_tflops and gpu.fp16_tflops:
            assert gpu.fp8_tflops == pytest.approx(2 * gpu.fp16_tflops, rel=0.02), gpu
    assert all(row["source"] and row["verified"] for row in dicts("gpus.csv"))


def test_rates_are_of_known_clouds_and_explained():
    rates = load_rates()
    assert set(rates) <= set(CLOUDS)
    for rate in rates.values():
        assert rate.disk_gib_month is None or rate.disk_gib_month < 1
        assert rate.egress_gib is None or rate.egress_gib < 1
        assert rate.controller_hour is None or Decimal("0.05") < rate.controller_hour < 1
    assert all(row["source"].startswith("https://") for row in dicts("extras.csv"))
    for cloud in ("aws", "azure", "gcp"):
        assert None not in (
            rates[cloud].disk_gib_month,
            rates[cloud].egress_gib,
            rates[cloud].controller_hour,
        )


def test_gcp_has_what_the_tour_rents():
    def offered(gpu: str, count: int, spot: bool) -> str:
        gpus = (GpuRequest(name=gpu, count=count),)
        return cheapest(Market(clouds=("gcp",), gpus=gpus, spot=spot)).instance_type

    assert offered("L4", 1, spot=True) == "g2-standard-4"
    assert offered("L4", 1, spot=False) == "g2-standard-4"
    assert offered("A100", 1, spot=False) == "a2-highgpu-1g"
    assert offered("A100-80GB", 2, spot=False) == "a2-ultragpu-2g"


def test_the_cheapest_gcp_spot_of_20_gib_is_an_l4():
    offer = cheapest(Market(clouds=("gcp",), spot=True), smallest_mib=20 * 1024)
    assert (offer.gpu, offer.gpu_count, offer.instance_type) == ("L4", 1, "g2-standard-4")


def test_azures_small_h100_is_the_nvl():
    market = Market(clouds=("azure",), gpus=(GpuRequest(name="H100-NVL"),), every_place=True)
    machines = {one.instance_type for one in load_offers(market, GPUS)[0]}
    assert machines == {"Standard_NC40ads_H100_v5", "Standard_NC80adis_H100_v5"}


_ASK_SKYPILOT = """
import json, sys
from sky import Resources
from sky.clouds import CloudImplementationFeatures as Feature
from sky.utils.registry import CLOUD_REGISTRY

told = {}
for name, cloud in CLOUD_REGISTRY.items():
    try:
        lacking = cloud._unsupported_features_for_resources(Resources(cloud=cloud))
    except ImportError:  # Kubernetes and SSH pools: their client library is not installed
        lacking = cloud._CLOUD_UNSUPPORTED_FEATURES
    told[name] = [Feature.SPOT_INSTANCE not in lacking, Feature.OPEN_PORTS not in lacking]
json.dump(told, sys.stdout)
"""


@pytest.mark.skipif(find_spec("sky") is None, reason="SkyPilot is not installed")
def test_clouds_are_what_the_installed_skypilot_says(tmp_path: Path):
    asked = subprocess.run(
        [sys.executable, "-c", _ASK_SKYPILOT],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
        timeout=120,
    )
    told = {name: tuple(can) for name, can in json.loads(asked.stdout).items()}
    ours = {cloud.id: (cloud.spot, cloud.ports) for cloud in CLOUDS.values() if cloud.skypilot}
    assert ours == told
    others = [cloud for cloud in CLOUDS.values() if not cloud.skypilot]
    assert not any(cloud.spot or cloud.ports for cloud in others)
