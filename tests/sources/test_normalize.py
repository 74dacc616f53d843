"""The normalizer: raw price rows in, our tables out, every dropped price counted."""

import csv
import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.errors import DataError
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.data import pricing_dir
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.normalize import quotes, raw, rules
from skyserve_llm.sources.normalize.__main__ import main
from skyserve_llm.sources.normalize.naming import card
from skyserve_llm.sources.normalize.raw import RawOffer
from skyserve_llm.sources.normalize.rules import normalize
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.types import Market

TODAY = date(2026, 11, 23)
GPUS = {name: gpu.memory_mib for name, gpu in load_gpus().items()}
CLOUDS = load_clouds()

LISTING = "tardellirs/gpu-pricing offerings.json (MIT)"


def catalog(cloud: str, version: int = 8) -> str:
    return f"skypilot-catalog v{version}/{cloud}/vms.csv @0123abcd"


def offer(cloud="gcp", machine="g2-standard-4", acc="L4", count="1", **cells: str) -> RawOffer:
    given_cells = {
        "region": "us-central1",
        "zone": "",
        "price": "0.7",
        "spot": "",
        "source": catalog(cloud),
        "asof": "undated",
        **cells,
    }
    return RawOffer(cloud, machine, acc, count, "", "", **given_cells)


def listing(cloud: str, machine: str, acc: str, **cells: str) -> RawOffer:
    """One price for a whole cloud, dated."""
    return offer(
        cloud, machine, acc, **{"region": "", "source": LISTING, "asof": "2026-05-24", **cells}
    )


def outcome(*offers: RawOffer) -> tuple[list[tuple[str, ...]], dict[str, int]]:
    kept, dropped = normalize(offers, GPUS, CLOUDS, TODAY)
    shown = [
        (one.cloud, one.instance_type, one.gpu, "spot" if one.spot else "od", str(one.price))
        for one in kept
    ]
    return shown, dropped


# --- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cloud", "name", "machine", "expected"),
    [
        ("gcp", "A100", "a2-highgpu-1g", "A100"),
        ("gcp", "A100-80GB", "a2-ultragpu-2g", "A100-80GB"),
        ("gcp", "H100", "a3-highgpu-8g", "H100"),
        ("aws", "A100", "p4d.24xlarge", "A100"),
        ("aws", "A100-80GB", "p4de.24xlarge", "A100-80GB"),
        ("aws", "A10G", "g5.xlarge", "A10G"),
        ("azure", "A100-80GB", "Standard_NC24ads_A100_v4", "A100-80GB-PCIe"),
        ("azure", "A100-80GB", "Standard_ND96amsr_A100_v4", "A100-80GB"),
        ("azure", "H100", "Standard_NC40ads_H100_v5", "H100-NVL"),
        ("azure", "H100", "Standard_NC80adis_H100_v5", "H100-NVL"),
        ("azure", "H100", "Standard_ND96isr_H100_v5", "H100"),
        ("azure", "V100", "Standard_NC6s_v3", "V100"),
        ("lambda", "A100", "gpu_1x_a100_sxm4", "A100"),
        ("lambda", "A100", "gpu_8x_a100", "A100"),
        ("lambda", "A100", "gpu_2x_a100", "A100-40GB-PCIe"),
        ("lambda", "A100-80GB", "gpu_8x_a100_80gb_sxm4", "A100-80GB"),
        ("lambda", "H100", "gpu_1x_h100_pcie", "H100-PCIe"),
        ("lambda", "A6000", "gpu_1x_a6000", "RTXA6000"),
        ("runpod", "A100-80GB", "1x_A100-80GB_SECURE", "A100-80GB-PCIe"),
        ("runpod", "A100-80GB-SXM", "1x_A100-80GB-SXM_SECURE", "A100-80GB"),
        ("runpod", "NVIDIA A100 SXM", "runpod-a100-sxm-secure", "A100-80GB"),
        ("vast", "H100", "1x-H100_NVL-32-65536", "H100-NVL"),
        ("vast", "A100-80GB", "1x-A100_PCIE-32-65536", "A100-80GB-PCIe"),
        ("vast", "RTXPRO6000S", "1x-RTX_PRO_6000_S-32-65536", "RTXPRO6000"),
        ("verda", "RTX-6000-Ada", "1RTX6000ADA.10V", "RTX6000-Ada"),
        ("verda", "NVIDIA A100 SXM4", "verda-a100-sxm-40gb-spot", "A100"),
        ("hyperstack", "NVIDIA H100 PCIe", "hyperstack-h100-pcie-on-demand", "H100-PCIe"),
        ("tensordock", "NVIDIA H100 SXM5", "tensordock-h100-sxm5-on-demand", "H100"),
        ("do", "NVIDIA HGX H100", "digitalocean-h100-on-demand", "H100"),
        ("dataoorts", "NVIDIA A100 80GB PCIe", "x", "A100-80GB-PCIe"),
        ("jarvis-labs", "RTX Pro 6000 Blackwell", "x", "RTXPRO6000"),
        ("qubrid", "Tesla T4", "x", "T4"),
        ("dataoorts", "NVIDIA GeForce RTX 4090", "x", "RTX4090"),
    ],
)
def test_every_way_to_write_a_card_is_one_name(cloud, name, machine, expected):
    assert card(cloud, name, machine) == expected


@pytest.mark.parametrize(
    ("cloud", "name", "machine"),
    [
        ("hyperstack", "NVIDIA A100 PCIe", "hyperstack-a100-pcie-on-demand"),
        ("novita", "A100 SXM", "novita-a100-sxm-on-demand"),
        ("jarvis-labs", "NVIDIA A100", "jarvis-labs-a100-80gb-on-demand"),
        ("hyperstack", "NVIDIA A100 NVLink", "hyperstack-a100-nvlink-on-demand"),
        ("paperspace", "H100", "H100"),
        ("fluidstack", "H100", "H100_NVLINK_80GB::8"),
        ("vast", "Tesla V100", "vast-ai-v100-on-demand"),
        # A machine that no rule knows is not guessed by its cloud.
        ("gcp", "A100", "a9-future-1g"),
    ],
)
def test_a_card_that_cannot_be_told_is_not_guessed(cloud, name, machine):
    assert card(cloud, name, machine) is None


def test_a_quadro_is_not_an_ada_card():
    kept, dropped = outcome(offer("lambda", "gpu_1x_rtx6000", "RTX6000"))
    assert kept == []
    assert dropped == {quotes.UNKNOWN_GPU: 1}


def test_a_pcie_a100_of_40_gb_is_the_sxm_one_only_alone():
    kept, dropped = outcome(
        offer("lambda", "gpu_1x_a100", "A100", "1"),
        offer("lambda", "gpu_2x_a100", "A100", "2"),
    )
    assert kept == [("lambda", "gpu_1x_a100", "A100", "od", "0.7")]
    assert dropped == {quotes.UNKNOWN_GPU: 1}


# --- one row ---------------------------------------------------------------------------------


def test_a_row_holds_two_prices():
    kept, dropped = outcome(offer(price="0.70683", spot="0.28184"))
    assert kept == [
        ("gcp", "g2-standard-4", "L4", "od", "0.70683"),
        ("gcp", "g2-standard-4", "L4", "spot", "0.28184"),
    ]
    assert dropped == {}


@pytest.mark.parametrize(
    ("row", "reason", "count"),
    [
        (offer(price=""), quotes.NO_PRICE, 1),
        (offer(price="0"), quotes.ZERO_PRICE, 1),
        (offer(price="-0.7"), quotes.BAD_PRICE, 1),
        (offer(price="$0.7"), quotes.BAD_PRICE, 1),
        (offer(price="nan"), quotes.BAD_PRICE, 1),
        (offer(count="12", price="9", spot="3"), quotes.BAD_COUNT, 2),
        (offer(count="1.0"), quotes.BAD_COUNT, 1),
        (offer(acc="K80"), quotes.UNKNOWN_GPU, 1),
        (offer("paperspace", "H100", "H100"), quotes.AMBIGUOUS_GPU, 1),
        (listing("coreweave", "coreweave-t4-classic", "T4"), quotes.GPU_ONLY, 1),
        (
            listing("akash", "akash-t4-marketplace", "T4", price="", spot="0.1"),
            quotes.OTHER_TIER,
            1,
        ),
        (listing("runpod", "runpod-h200-community", "NVIDIA H200"), quotes.OTHER_TIER, 1),
        (offer("lambda", "gpu_1x_a10", "A10", price="", spot="0.4"), rules.NO_SPOT, 1),
    ],
)
def test_nonsense_is_dropped_for_a_reason(row: RawOffer, reason: str, count: int):
    assert outcome(row) == ([], {reason: count})


def test_vasts_spot_price_of_zero_means_none():
    kept, dropped = outcome(offer("vast", "1x-RTX_4090-32-65536", "RTX4090", spot="0.00"))
    assert [one[3] for one in kept] == ["od"]
    assert dropped == {quotes.ZERO_PRICE: 1}


def test_spot_at_the_on_demand_price_is_no_discount():
    # AWS quotes spot in four places.
    for price, spot in (("0.7", "0.70"), ("30.09784", "30.0978"), ("8.22609", "8.2261")):
        kept, dropped = outcome(offer("aws", "g6.xlarge", price=price, spot=spot))
        assert [one[3] for one in kept] == ["od"]
        assert dropped == {quotes.SPOT_EQUAL: 1}


def test_an_unknown_cloud_or_date_stops_the_build():
    with pytest.raises(DataError, match="unknown cloud 'gcpp'"):
        outcome(offer("gcpp"))
    with pytest.raises(DataError, match="neither a date nor undated"):
        outcome(offer(asof="last May"))
    with pytest.raises(DataError, match="after the snapshot"):
        outcome(offer(asof="2026-11-24"))


# --- rows together ---------------------------------------------------------------------------


def test_an_older_catalog_gives_way_to_a_newer_one_of_its_cloud():
    old = offer(zone="us-central1-b", source=catalog("gcp", 6), price="0.5")
    other_cloud = offer("fluidstack", "L4::1", source=catalog("fluidstack", 6))
    kept, dropped = outcome(old, offer(), other_cloud)
    assert [one[0] for one in kept] == ["fluidstack", "gcp"]
    assert dropped == {rules.SUPERSEDED: 1}


def test_of_two_prices_of_an_offer_the_dated_one_is_kept_then_the_later():
    machine = ("azure", "Standard_NC4as_T4_v3", "T4")
    undated = offer(*machine, price="0.5")
    may = offer(*machine, price="0.6", source="a", asof="2026-05-01")
    june = offer(*machine, price="0.7", source="b", asof="2026-06-01")
    kept, dropped = outcome(may, undated, june)
    assert [one[4] for one in kept] == ["0.7"]
    assert dropped == {rules.DUPLICATE: 2}


def test_of_one_catalog_the_lower_price_of_a_machine_is_kept():
    kept, dropped = outcome(offer(price="0.8"), offer(price="0.7"), offer(price="0.9"))
    assert [one[4] for one in kept] == ["0.7"]
    assert dropped == {rules.DUPLICATE: 2}


def test_a_price_that_others_make_doubtful_is_kept():
    # Which of the two is wrong is for the marks to say.
    kept, dropped = outcome(offer(price="0.7", spot="0.9"))
    assert [one[3:] for one in kept] == [("od", "0.7"), ("spot", "0.9")]
    assert dropped == {}


def test_spot_is_held_against_on_demand_of_another_source():
    machine = ("azure", "Standard_NC4as_T4_v3", "T4")
    kept, dropped = outcome(
        offer(*machine, price="0.6", spot="0.5"),
        offer(*machine, price="0.5", source="prices of today", asof="2026-06-01"),
    )
    assert [one[3:] for one in kept] == [("od", "0.5")]
    assert dropped == {rules.DUPLICATE: 1, quotes.SPOT_EQUAL: 1}


def test_a_whole_clouds_price_goes_to_the_machine_skypilot_would_rent():
    # The old catalog's price is gone, but the name it had for the machine is still good.
    old = offer("runpod", "1x_H100-SXM_SECURE", "H100-SXM", source=catalog("runpod", 7))
    new = offer("runpod", "1x_RTX4090_SECURE", "RTX4090")
    price = listing("runpod", "runpod-h100-sxm-secure", "NVIDIA H100 SXM", price="3.29")
    kept, dropped = normalize((old, new, price), GPUS, CLOUDS, TODAY)
    (h100,) = (one for one in kept if one.gpu == "H100")
    assert (h100.instance_type, h100.accelerator) == ("1x_H100-SXM_SECURE", "H100-SXM")
    assert (str(h100.price), h100.as_of, h100.region) == ("3.29", "2026-05-24", "")
    assert dropped == {rules.SUPERSEDED: 1}


def test_a_whole_clouds_price_with_no_such_machine_is_dropped():
    unknown = listing("runpod", "runpod-b200-secure", "NVIDIA B200")
    assert outcome(unknown) == ([], {rules.NO_MACHINE: 1})


def test_a_marketplaces_lowest_ask_is_nobodys_price():
    place = offer("vast", "1x-RTX_4090-32-65536", "RTX4090", price="0.4")
    ask = listing("vast-ai", "vast-ai-rtx-4090-on-demand", "RTX 4090", price="0.31")
    kept, dropped = outcome(place, ask)
    assert [one[4] for one in kept] == ["0.4"]
    assert dropped == {rules.NO_MACHINE: 1}


def test_clouds_skypilot_does_not_know_are_kept_to_tell_the_market():
    pair = [
        listing("novita", "novita-rtx-4090-on-demand", "RTX 4090", price="0.67"),
        listing("novita", "novita-rtx-4090-spot", "RTX 4090", price="", spot="0.34"),
    ]
    kept, dropped = outcome(*pair)
    assert kept == [
        ("novita", "novita-rtx-4090", "RTX4090", "od", "0.67"),
        ("novita", "novita-rtx-4090", "RTX4090", "spot", "0.34"),
    ]
    assert dropped == {}


# --- the program -----------------------------------------------------------------------------

RAW_GPUS = """\
V100,16384,aws row,16,897,125.3,no,,,7.0,,NVLink2 on SXM (p3),page,secondary
V100-32GB,32768,aws row,32,897,125.3,no,,,7.0,,NVLink2 on SXM,same,secondary
L4,23034,nvidia-smi,24,300,121,yes,242,,8.9,32,PCIe4 only,sheet,yes
H100 (SXM),81559,vast row,80,3350,989,yes,1978,,9.0,450,NVLink4,sheet,yes
H100 (PCIe),81559,not seen,80,2000,756.5,yes,1513,,9.0,64,PCIe5,sheet,yes
"""


@pytest.fixture
def raw_dir(tmp_path: Path) -> Path:
    rows = [
        offer(price="0.70683", spot="0.28184", asof="undated(<us-east7 launch)"),
        offer(zone="z", price="0.9", asof="undated(early)"),
        offer("aws", "p5.4xlarge", "H100", price="1E+1", spot="", source="a list", asof=""),
        offer("paperspace", "H100", "H100"),
    ]
    with (tmp_path / "offers.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([raw.OFFER_COLUMNS, *(row[:12] for row in rows)])
    header = ",".join(raw.GPU_COLUMNS)
    (tmp_path / "gpus.csv").write_text(f"{header}\n{RAW_GPUS}", encoding="utf-8")
    out = tmp_path / "pricing"
    out.mkdir()
    (out / "clouds.csv").write_bytes((pricing_dir() / "clouds.csv").read_bytes())
    return tmp_path


def build(raw_dir: Path) -> dict[str, str]:
    arguments = [str(raw_dir / "offers.csv"), str(raw_dir / "gpus.csv")]
    out = raw_dir / "pricing"
    assert main([*arguments, "--out", str(out), "--date", "2026-11-23"]) == 0
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(out.iterdir())}


def test_the_program_writes_tables_that_the_loaders_read(raw_dir: Path):
    texts = build(raw_dir)
    assert texts["offers.csv"] == (
        "cloud,region,zone,instance_type,gpu,accelerator,gpu_count,spot,price_per_hour,as_of,source,"
        "marks\n"
        "aws,us-central1,,p5.4xlarge,H100,H100,1,0,10,,a-list,\n"
        "gcp,us-central1,,g2-standard-4,L4,L4,1,0,0.70683,,skypilot-v8-gcp,\n"
        "gcp,us-central1,,g2-standard-4,L4,L4,1,1,0.28184,,skypilot-v8-gcp,\n"
        "gcp,us-central1,z,g2-standard-4,L4,L4,1,0,0.9,,skypilot-v8-gcp,\n"
    )
    assert texts["sources.csv"] == (
        "id,what,url,commit,licence,as_of_note\n"
        "a-list,a list,,,unknown,undated\n"
        'skypilot-v8-gcp,"SkyPilot\'s own catalog of gcp, schema v8: catalogs/v8/gcp/vms.csv",'
        "https://github.com/skypilot-org/skypilot-catalog,0123abcd,unknown,"
        "<us-east7 launch; early\n"
    )
    assert json.loads(texts["snapshot.json"]) == {
        "snapshot": "2026-11-23",
        "raw_rows": 4,
        "raw_prices": 5,
        "rows": 4,
        "dated_rows": 0,
        "dropped": {quotes.AMBIGUOUS_GPU: 1},
    }
    gpus = load_gpus(raw_dir / "pricing" / "gpus.csv")
    assert list(gpus) == ["V100", "V100-32GB", "L4", "H100", "H100-PCIe"]
    assert (gpus["V100"].bf16, gpus["L4"].bf16) == (False, True)
    assert (gpus["V100"].link, gpus["L4"].link) == ("NVLink2", "PCIe4")
    assert "memory: aws row; facts: page" in texts["gpus.csv"].splitlines()[2]
    offers, _ = load_offers(Market(), gpus, raw_dir / "pricing" / "offers.csv")
    assert len(offers) == 3


def test_building_again_changes_nothing(raw_dir: Path):
    assert build(raw_dir) == build(raw_dir)


def test_a_bad_input_is_told_and_nothing_is_written(raw_dir: Path, capsys):
    build(raw_dir)
    before = (raw_dir / "pricing" / "offers.csv").read_bytes()
    (raw_dir / "offers.csv").write_text("cloud,price\n", encoding="utf-8")
    arguments = [str(raw_dir / "offers.csv"), str(raw_dir / "gpus.csv")]
    assert main([*arguments, "--out", str(raw_dir / "pricing"), "--date", "2026-11-24"]) == 2
    assert "error: " in capsys.readouterr().err
    assert (raw_dir / "pricing" / "offers.csv").read_bytes() == before


# --- laws ------------------------------------------------------------------------------------

_MACHINES = [
    ("gcp", "g2-standard-4", "L4"),
    ("aws", "p5.4xlarge", "H100"),
    ("azure", "Standard_NC4as_T4_v3", "T4"),
    ("lambda", "gpu_1x_a10", "A10"),
    ("runpod", "1x_H200-SXM_SECURE", "H200-SXM"),
    ("paperspace", "H100", "H100"),
]
_AMOUNTS = st.sampled_from(["", "0", "0.5", "0.50", "0.7", "0.70001", "1", "-1", "x"])

raw_offers = st.lists(
    st.one_of(
        st.builds(
            lambda machine, count, zone, price, spot, version, asof: offer(
                *machine,
                count,
                zone=zone,
                price=price,
                spot=spot,
                source=catalog(machine[0], version),
                asof=asof,
            ),
            st.sampled_from(_MACHINES),
            st.sampled_from(["1", "8", "12"]),
            st.sampled_from(["", "a"]),
            _AMOUNTS,
            _AMOUNTS,
            st.sampled_from([6, 8]),
            st.sampled_from(["undated", "2026-01-01", "2026-06-01"]),
        ),
        st.builds(
            lambda price, spot: listing(
                "runpod", "runpod-h200-secure", "NVIDIA H200", price=price, spot=spot
            ),
            _AMOUNTS,
            _AMOUNTS,
        ),
    ),
    max_size=25,
)


@given(raw_offers)
def test_every_price_is_kept_or_counted_once(given_offers):
    kept, dropped = normalize(given_offers, GPUS, CLOUDS, TODAY)
    assert len(kept) + sum(dropped.values()) == sum(map(quotes.count_prices, given_offers))


@given(raw_offers, st.randoms(use_true_random=False))
def test_the_order_of_raw_rows_changes_nothing(given_offers, random):
    shuffled = random.sample(given_offers, len(given_offers))
    assert normalize(given_offers, GPUS, CLOUDS, TODAY) == normalize(shuffled, GPUS, CLOUDS, TODAY)


@given(raw_offers)
def test_what_is_kept_is_sane(given_offers):
    kept, _ = normalize(given_offers, GPUS, CLOUDS, TODAY)
    on_demand = {one.machine: one.price for one in kept if not one.spot}
    keys = [(*one.machine, one.spot) for one in kept]
    assert len(keys) == len(set(keys))
    for one in kept:
        assert one.price > 0
        assert one.gpu in GPUS
        assert not one.spot or one.price != on_demand.get(one.machine)


@given(raw_offers)
def test_more_raw_rows_of_another_cloud_change_nothing_here(given_offers):
    kept, _ = normalize(given_offers, GPUS, CLOUDS, TODAY)
    more = normalize([*given_offers, offer("oci", "VM.GPU.A10.1", "A10")], GPUS, CLOUDS, TODAY)
    assert [one for one in more.kept if one.cloud != "oci"] == kept
