"""gpuhunt's catalogs: the machine SkyPilot would rent for each price, or no price."""

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from skyserve_llm.errors import DataError
from skyserve_llm.sources.catalogs import gpuhunt
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.normalize import rules
from skyserve_llm.sources.normalize.rules import Machines

GPUS = {name: gpu.memory_mib for name, gpu in load_gpus().items()}
HEADER = (
    "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,"
    "gpu_vendor,flags,cpu_arch,provider_data"
)
KNOWN: Machines = {
    ("aws", "A100-80GB", 8): {("p4de.24xlarge", "A100-80GB")},
    ("nebius", "H100", 1): {("gpu-h100-sxm_1gpu-16vcpu-200gb", "H100")},
    ("runpod", "H100", 1): {("1x_H100-SXM_SECURE", "H100-SXM")},
    ("runpod", "L4", 1): {("1x_L4_SECURE", "L4"), ("1x_L4_COMMUNITY", "L4")},
    ("gcp", "A100", 1): {("a2-highgpu-1g", "A100")},
    ("lambda", "A10", 1): {("gpu_1x_a10", "A10")},
}


def imported(folder: Path, provider: str, *rows: str, header: str = HEADER):
    path = folder / f"{provider}.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    cloud = gpuhunt.provider_cloud(provider)
    got = gpuhunt.read_catalog(path, cloud, f"gpuhunt {path.name}", "2026-11-20", path.name)
    outcome = rules.normalize(got.offers, GPUS, load_clouds(), date(2026, 11, 23), KNOWN)
    kept = [
        (
            *(one.cloud, one.region, one.zone, one.instance_type, one.gpu, one.accelerator),
            *("spot" if one.spot else "od", str(one.price), one.source),
        )
        for one in outcome.kept
    ]
    return kept, dict(got.dropped + Counter(outcome.dropped))


def test_aws_names_are_skypilots_own(tmp_path: Path):
    kept, dropped = imported(
        tmp_path,
        "aws",
        "m7i.large,us-east-1,0.1,2,8.0,0,,,False,,,,x86,{}",
        "p4de.24xlarge,us-east-1,40.96,96,1152.0,8,A100,80.0,False,,nvidia,,x86,{}",
        "p4de.24xlarge,us-east-1,17.2,96,1152.0,8,A100,80.0,True,,nvidia,,x86,{}",
    )
    place = ("aws", "us-east-1", "", "p4de.24xlarge", "A100-80GB", "A100-80GB")
    assert kept == [
        (*place, "od", "40.96", "gpuhunt-aws"),
        (*place, "spot", "17.2", "gpuhunt-aws"),
    ]
    assert dropped == {}


def test_gcp_has_zones_and_prices_of_capacity_reserved_ahead(tmp_path: Path):
    row = "a2-highgpu-1g,us-central1-a,{},12,85.0,1,A100,40.0,False,,nvidia,{},x86,{}"
    kept, dropped = imported(
        tmp_path,
        "gcp",
        row.format(3.67, "", "{}"),
        row.format(1.9, "gcp-dws-calendar-mode", "{}"),
        row.format(1.8, "", '"{""is_dws_calendar_mode"": true}"'),
        "tpu-v5e-8,us-central1-a,9.6,8,16.0,1,tpu-v5e-8,,False,,google,,x86,{}",
    )
    place = ("gcp", "us-central1", "us-central1-a", "a2-highgpu-1g", "A100", "A100")
    assert kept == [(*place, "od", "3.67", "gpuhunt-gcp")]
    assert dropped == {gpuhunt.RESERVED: 2, "TPU: vLLM on it is another program": 1}


def test_other_names_of_machines_become_skypilots_where_there_is_but_one(tmp_path: Path):
    assert imported(
        tmp_path,
        "nebius",
        "gpu-h100-sxm 1gpu-16vcpu-200gb,eu-north1,2.95,16,200.0,1,H100,80.0,False,,nvidia,,x86,{}",
    )[0][0][3:6] == ("gpu-h100-sxm_1gpu-16vcpu-200gb", "H100", "H100")
    kept, dropped = imported(
        tmp_path,
        "runpod",
        "NVIDIA H100 80GB HBM3,US-TX-1,2.69,16,125.0,1,H100SXM,80.0,False,,nvidia,,x86,{}",
        "NVIDIA L4,US-TX-1,0.43,16,125.0,1,L4,24.0,False,,nvidia,,x86,{}",
    )
    assert [one[3:6] for one in kept] == [("1x_H100-SXM_SECURE", "H100", "H100-SXM")]
    assert dropped == {rules.NO_MACHINE: 1}


def test_providers_have_other_names_than_clouds(tmp_path: Path):
    kept, _ = imported(
        tmp_path,
        "lambdalabs",
        "gpu_1x_a10,us-east-1,0.75,30,214.8,1,A10,24.0,False,1503.6,nvidia,,x86,{}",
    )
    assert kept[0][0] == "lambda"
    assert [gpuhunt.provider_cloud(name) for name in ("vastai", "datacrunch", "oci")] == [
        "vast",
        "verda",
        "oci",
    ]


def test_nobodys_price_is_taken_from_a_marketplace(tmp_path: Path):
    row = "1234567,Texas,0.31,16,64.0,1,RTX4090,24.0,False,100.0,nvidia,,x86,{}"
    assert imported(tmp_path, "vastai", row) == ([], {rules.NO_MACHINE: 1})


def test_catalogs_from_before_the_last_columns_are_read_too(tmp_path: Path):
    header = "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size"
    row = "gpu_1x_a10,us-east-1,0.75,30,214.8,1,A10,24.0,False,"
    assert len(imported(tmp_path, "lambdalabs", row, header=header)[0]) == 1


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("a,b,,1,1,1,A10,24,False,,nvidia,,x86,{}", "column price: '' is not a price"),
        ("a,b,free,1,1,1,A10,24,False,,nvidia,,x86,{}", "column price: 'free' is not a price"),
        ("a,b,1,1,1,x,A10,24,False,,nvidia,,x86,{}", "column gpu_count: 'x' is not a number"),
        ("a,b,1,1,1,1,A10,24,maybe,,nvidia,,x86,{}", "column spot: 'maybe' is not True or False"),
        ("a,b,1", "3 cells, expected 14"),
    ],
)
def test_garbage_is_refused_by_its_line(tmp_path: Path, row: str, why: str):
    with pytest.raises(DataError) as caught:
        imported(tmp_path, "aws", row)
    assert caught.value.message == f"aws.csv, line 2: {why}"
