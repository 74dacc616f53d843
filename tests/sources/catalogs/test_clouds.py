"""Every cloud's own way to write SkyPilot's catalog, in rows as they stand in the real ones."""

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from skyserve_llm.sources.catalogs import gcp
from skyserve_llm.sources.catalogs.skypilot import read_catalog
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.normalize import quotes, rules

CLOUDS = load_clouds()
GPUS = {name: gpu.memory_mib for name, gpu in load_gpus().items()}
PLAIN = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice"
)

Told = tuple[str, str, int, str, str]
"""Machine, our GPU, how many, "od" or "spot", USD an hour."""


REAL = Path(__file__).with_name("real")


@pytest.fixture
def imported(tmp_path: Path):
    """Import a catalog and normalize it: what is kept, and how many prices are not and why."""

    def run(cloud: str, text: str | None = None) -> tuple[list[Told], dict[str, int]]:
        path = REAL / f"{cloud}.csv"
        if text is not None:
            path = tmp_path / "vms.csv"
            path.write_text(text, encoding="utf-8")
        source = f"skypilot-catalog v8/{cloud}/vms.csv"
        got = read_catalog(path, cloud, source, "2026-11-20", f"{cloud}/vms.csv")
        outcome = rules.normalize(got.offers, GPUS, CLOUDS, date(2026, 11, 23))
        assert {(one.as_of, one.source) for one in outcome.kept} == {
            ("2026-11-20", f"skypilot-v8-{cloud}")
        }
        kept = [
            (
                one.instance_type,
                one.gpu,
                one.gpu_count,
                "spot" if one.spot else "od",
                f"{one.price}",
            )
            for one in outcome.kept
        ]
        return kept, dict(got.dropped + Counter(outcome.dropped))

    return run


def test_aws_spot_at_the_on_demand_price_is_none(imported):
    kept, dropped = imported("aws")
    assert kept == [
        ("g6.48xlarge", "L4", 8, "od", "17.35817"),
        ("g6.48xlarge", "L4", 8, "spot", "3.169100"),
        ("g6.48xlarge", "L4", 8, "od", "17.35817"),
    ]
    assert dropped == {quotes.SPOT_EQUAL: 1, quotes.BAD_COUNT: 2, quotes.UNKNOWN_GPU: 2}


def test_azure_free_gpus_and_twelve_of_them_are_errors_and_a_small_h100_is_an_nvl(imported):
    kept, dropped = imported("azure")
    assert kept == [
        ("Standard_NC24ads_A100_v4", "A100-80GB-PCIe", 1, "od", "3.673"),
        ("Standard_NC24ads_A100_v4", "A100-80GB-PCIe", 1, "spot", "0.444433"),
        ("Standard_NC40ads_H100_v5", "H100-NVL", 1, "od", "6.98"),
    ]
    assert dropped == {quotes.ZERO_PRICE: 2, quotes.BAD_COUNT: 4}


def test_vast_sums_memory_over_gpus_and_means_no_spot_by_zero(imported):
    kept, dropped = imported("vast")
    assert kept == [
        ("4x-A100_SXM4-32-65536", "A100", 4, "od", "3.09"),
        ("1x-A100_PCIE-32-65536", "A100-80GB-PCIe", 1, "od", "0.87"),
        ("2x-H100_SXM-32-65536", "H100", 2, "od", "3.73"),
        ("1x-H100_NVL-32-65536", "H100-NVL", 1, "od", "2.08"),
        ("2x-RTX_4090-32-65536", "RTX4090", 2, "od", "0.79"),
        ("2x-RTX_4090-32-65536", "RTX4090", 2, "spot", "0.30"),
    ]
    # One host refitted its RTX 4090 with 48 GB: another card than the one everybody knows.
    assert dropped == {quotes.ZERO_PRICE: 4, quotes.OTHER_MEMORY: 2, quotes.BAD_COUNT: 2}


def test_runpod_gives_gb_as_mib_and_the_same_price_twice(imported):
    kept, dropped = imported("runpod")
    assert kept == [
        ("2x_A100-80GB-SXM_SECURE", "A100-80GB", 2, "od", "2.98"),
        ("2x_A100-80GB-SXM_SECURE", "A100-80GB", 2, "spot", "1.9"),
        ("1x_A100-80GB_SECURE", "A100-80GB-PCIe", 1, "od", "1.39"),
    ]
    assert dropped == {quotes.SPOT_EQUAL: 1, quotes.BAD_COUNT: 2}


def test_nebius_writes_python_and_counts_no_gpu_as_zero(imported):
    kept, dropped = imported("nebius")
    assert kept == [
        ("gpu-h100-sxm_1gpu-16vcpu-200gb", "H100", 1, "od", "2.95"),
        ("gpu-h100-sxm_1gpu-16vcpu-200gb", "H100", 1, "spot", "1.25"),
        ("gpu-l40s-a_1gpu-8vcpu-32gb", "L40S", 1, "od", "1.5484"),
    ]
    assert dropped == {}


def test_verda_writes_json_in_another_order_of_columns_and_has_spot_alone(imported):
    kept, dropped = imported("verda")
    assert kept == [
        ("1A100.22V", "A100-80GB", 1, "od", "1.29"),
        ("1A100.22V", "A100-80GB", 1, "spot", "0.4515"),
        ("2B300.60V", "B300", 2, "spot", "4.893"),
        ("1RTXPRO6000.30V", "RTXPRO6000", 1, "od", "1.69"),
        ("1RTXPRO6000.30V", "RTXPRO6000", 1, "spot", "0.5915"),
    ]
    assert dropped == {}


def test_cudo_calls_its_80_gb_card_an_a100_and_writes_the_noise_of_floats(imported):
    kept, dropped = imported("cudo")
    assert kept == [
        ("epyc-genoa-a100-pcie_1x2v4gb", "A100-80GB-PCIe", 1, "od", "1.5294"),
        ("ice-lake-a40-compute_1x2v4gb", "A40", 1, "od", "0.369800"),
        ("intel-broadwell-v100_1x2v4gb", "V100", 1, "od", "0.21"),
    ]
    assert dropped == {}


def test_prime_intellect_rents_spot_as_a_machine_of_its_own(imported):
    kept, dropped = imported("primeintellect")
    assert kept == [
        ("dc_wildebeest__8xB200_180GB__160__1792", "B200", 8, "od", "35.2"),
        ("datacrunch__1xL40S_48GB__20__60", "L40S", 1, "od", "0.91"),
        ("datacrunch__1xL40S_48GB__20__60__SPOT", "L40S", 1, "spot", "0.26"),
    ]
    # PCIe or SXM? Nothing in the row says.
    assert dropped == {quotes.AMBIGUOUS_GPU: 1}


def test_shadeform_tells_its_cards_in_the_machines_name(imported):
    kept, dropped = imported("shadeform")
    assert [one[:3] for one in kept] == [
        ("lambdalabs_A100-sxm4", "A100", 1),
        ("crusoe_A100-80G-sxm4x8", "A100-80GB", 8),
        ("lambdalabs_H100-sxm5x2", "H100", 2),
        ("paperspace_V100-32GB", "V100-32GB", 1),
    ]
    assert dropped == {quotes.BAD_COUNT: 1}


def test_seeweb_lists_what_it_has_in_no_region(imported):
    kept, dropped = imported("seeweb")
    assert kept == [("ECS2GPU10", "H200", 2, "od", "5.2")]
    assert dropped == {quotes.NOWHERE: 1}


@pytest.mark.parametrize(
    ("cloud", "expected"),
    [
        ("mithril", [("h100-80gb.sxm.8x", "H100", 8, "od", "8.0")]),
        ("hyperbolic", [("1x-H100-75-722", "H100", 1, "od", "1.29")]),
        (
            "oci",
            [
                ("BM.GPU4.8", "A100", 8, "od", "24.4"),
                ("VM.GPU3.1", "V100", 1, "od", "2.95"),
                ("VM.GPU3.1", "V100", 1, "spot", "1.475"),
            ],
        ),
        (
            "yotta",
            [("2x28v238g_NVIDIA_GeForce_RTX_5090_32G_SECURE", "RTX5090", 2, "od", "1.3")],
        ),
        ("lambda", [("gpu_1x_a6000", "RTXA6000", 1, "od", "1.09")]),
    ],
)
def test_the_rest_differ_in_the_order_of_columns(imported, cloud, expected):
    assert imported(cloud)[0] == expected


def test_b200_and_h200_said_to_hold_80_gb_are_what_they_are_called(imported):
    wrong = "\"{'Gpus': [{'MemoryInfo': {'SizeInMiB': 81920}}]}\""
    text = f"{PLAIN}\na,B200,8,1,1,40,r,{wrong},\nb,H200,8,1,1,30,r,{wrong},\n"
    kept, dropped = imported("nebius", text)
    assert [one[1] for one in kept] == ["B200", "H200"]
    assert dropped == {}


# --- GCP ---------------------------------------------------------------------------------------


def test_gcp_prices_a_machine_and_its_gpus_apart(imported):
    kept, dropped = imported("gcp")
    assert kept == [
        ("a2-highgpu-1g", "A100", 1, "od", "3.66948"),
        ("a2-highgpu-1g", "A100", 1, "spot", "1.46975"),
        ("g2-standard-4", "L4", 1, "od", "0.70687"),
        ("g2-standard-4", "L4", 1, "spot", "0.28168"),
        ("g2-standard-8", "L4", 1, "od", "0.85370"),
        ("g2-standard-8", "L4", 1, "spot", "0.274"),
        # The cheapest N1 machine with at least 4 vCPUs and 16 GiB.
        ("n1-highmem-4", "T4", 1, "od", "0.58683"),
        ("n1-highmem-4", "T4", 1, "spot", "0.2248"),
    ]
    # The H100s have no a3 machine in their zone, one A100 stands in a zone without any machine.
    assert dropped == {gcp.NO_HOST: 2, quotes.NOT_A_GPU: 2}


def test_gcp_gpus_without_a_price_of_their_machine_have_none(imported):
    text = (
        (REAL / "gcp.csv")
        .read_text(encoding="utf-8")
        .replace("us-central1-a,0.73948,0.36975", "us-central1-a,0.73948,")
    )
    kept, _ = imported("gcp", text)
    assert [one[3:] for one in kept if one[1] == "A100"] == [("od", "3.66948")]
