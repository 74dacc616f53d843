"""Makes a catalog in the layout of SkyPilot's hosted one: 24 clouds, as many rows as wanted.

Each cloud has its real columns in their real order, its real way to write ``GpuInfo``, machine
names that exist, and its share of a full catalog's rows. Places and prices are made up, the same
ones for the same number of rows. Most rows of AWS, Azure and GCP have no GPU, as in the real ones.
"""

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PLAIN = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice"
)
GPU_FIRST = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,"
UPSTREAM = "InstanceType,UpstreamCloudId,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,"
HEADERS = {
    "aws": GPU_FIRST + "Price,SpotPrice,Region,AvailabilityZone,Arch",
    "azure": GPU_FIRST + "Price,SpotPrice,Region,Generation",
    "gcp": "InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,"
    "Region,AvailabilityZone,Price,SpotPrice",
    "hyperbolic": PLAIN.replace("MemoryGiB,", "MemoryGiB,StorageGiB,"),
    "ibm": GPU_FIRST + "Price,SpotPrice,Region,AvailabilityZone",
    "jarvislabs": GPU_FIRST + "Region,SpotPrice,Price",
    "mithril": GPU_FIRST.replace("GpuInfo,", "") + "Price,SpotPrice,Region,GpuInfo",
    "primeintellect": UPSTREAM + "Region,AvailabilityZone,Price,SpotPrice",
    "runpod": GPU_FIRST.replace("GpuInfo,", "") + "Region,SpotPrice,Price,AvailabilityZone,GpuInfo",
    "vast": GPU_FIRST + "Price,SpotPrice,Region",
    "verda": UPSTREAM + "Region,Price,SpotPrice",
    "yotta": GPU_FIRST + "Region,SpotPrice,Price",
}

Machine = tuple[str, str, int]
"""Instance type, SkyPilot's name of the GPU, and how many of it."""

AWS: list[Machine] = [
    *((f"g6.{size}xlarge", "L4", count) for size, count in
      [("", 1), ("2", 1), ("4", 1), ("8", 1), ("12", 4), ("24", 4), ("48", 8)]),
    *((f"g6e.{size}xlarge", "L40S", count) for size, count in
      [("", 1), ("2", 1), ("4", 1), ("12", 4), ("48", 8)]),
    *((f"g5.{size}xlarge", "A10G", count) for size, count in
      [("", 1), ("2", 1), ("4", 1), ("12", 4), ("48", 8)]),
    *((f"g4dn.{size}xlarge", "T4", 1) for size in ("", "2", "4", "8", "16")),
    ("p4d.24xlarge", "A100", 8), ("p4de.24xlarge", "A100-80GB", 8), ("p5.48xlarge", "H100", 8),
    ("p5en.48xlarge", "H200", 8), ("p6-b200.48xlarge", "B200", 8), ("p3.2xlarge", "V100", 1),
]  # fmt: skip
AZURE: list[Machine] = [
    *((f"Standard_NC{cpus}as_T4_v3", "T4", 1) for cpus in (4, 8, 16)),
    ("Standard_NC64as_T4_v3", "T4", 4), ("Standard_NC24ads_A100_v4", "A100-80GB", 1),
    ("Standard_NC48ads_A100_v4", "A100-80GB", 2), ("Standard_NC40ads_H100_v5", "H100", 1),
    ("Standard_ND96isr_H100_v5", "H100", 8), ("Standard_NC6s_v3", "V100", 1),
]  # fmt: skip
GCP_HOSTS: dict[tuple[str, int], list[str]] = {
    ("L4", 1): ["g2-standard-4", "g2-standard-8", "g2-standard-16"],
    ("L4", 2): ["g2-standard-24"], ("L4", 4): ["g2-standard-48"], ("L4", 8): ["g2-standard-96"],
    ("A100", 1): ["a2-highgpu-1g"], ("A100", 8): ["a2-highgpu-8g"],
    ("A100-80GB", 1): ["a2-ultragpu-1g"], ("A100-80GB", 8): ["a2-ultragpu-8g"],
    ("H100", 8): ["a3-highgpu-8g"], ("H200", 8): ["a3-ultragpu-8g"], ("T4", 1): ["n1-standard-4"],
}  # fmt: skip
RUNPOD: list[Machine] = [
    (f"{count}x_{gpu}_SECURE", gpu, count)
    for gpu in (
        "A100-80GB",
        "A100-80GB-SXM",
        "H100-SXM",
        "H200-SXM",
        "L4",
        "L40S",
        "RTX4090",
        "A40",
    )
    for count in (1, 2, 4, 8)
]
VAST: list[Machine] = [
    (f"{count}x-{board}-32-65536", gpu, count)
    for board, gpu in (("RTX_4090", "RTX4090"), ("H100_SXM", "H100"), ("A40", "A40"))
    for count in (1, 2, 4, 8)
]
OTHERS: list[Machine] = [
    (f"gpu_{count}x_{gpu.lower()}", gpu, count)
    for gpu in ("L4", "L40S", "A10", "H200", "B200", "RTX4090", "A30")
    for count in (1, 2, 4, 8)
]
SHARE = {"aws": 0.37, "azure": 0.15, "gcp": 0.27, "runpod": 0.12, "vast": 0.02}
SMALL = (
    "cudo", "do", "fluidstack", "hyperbolic", "hyperstack", "ibm", "jarvislabs", "lambda", "lium",
    "mithril", "nebius", "oci", "paperspace", "primeintellect", "scp", "seeweb", "shadeform",
    "verda", "yotta",
)  # fmt: skip
CLOUDS = (*SHARE, *SMALL)
GIB = {"L4": 24, "T4": 16, "V100": 16, "A10": 24, "A10G": 24, "A30": 24, "L40S": 48, "A40": 48,
       "RTX4090": 24, "A100": 40, "H200": 141, "B200": 180}  # fmt: skip
PER_HOUR = {"L4": 0.7, "T4": 0.4, "V100": 2.5, "A10": 0.8, "A10G": 1.0, "A30": 0.9, "L40S": 1.6,
            "A40": 0.6, "RTX4090": 0.6, "A100": 2.9, "H200": 5.5, "B200": 8.0,
            "H100": 4.5}  # fmt: skip


class Place(NamedTuple):
    region: str
    zone: str


def make_catalog(folder: Path, rows: int = 100_000, seed: int = 1) -> int:
    """Writes ``<folder>/v8/<cloud>/vms.csv`` for 24 clouds; gives how many rows in all."""
    written = 0
    for cloud in CLOUDS:
        chance = random.Random(f"{seed} {cloud}")
        quota = round(rows * SHARE.get(cloud, (1 - sum(SHARE.values())) / len(SMALL)))
        path = folder / "v8" / cloud / "vms.csv"
        path.parent.mkdir(parents=True)
        header = HEADERS.get(cloud, PLAIN).split(",")
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, header, restval="", extrasaction="ignore")
            writer.writeheader()
            made = list(_rows(cloud, quota, chance))
            writer.writerows(made)
        written += len(made)
    return written


def _rows(cloud: str, quota: int, chance: random.Random) -> Iterator[dict[str, object]]:
    """At most ``quota`` rows: a place after the other, GPUs first, the rest without one."""
    left = quota
    for place in _places(cloud):
        here = list(_gpus_of_gcp(place, chance) if cloud == "gcp" else _gpus(cloud, place, chance))
        without = {"aws": len(here), "azure": 3 * len(here), "gcp": 3 * len(here)}.get(cloud, 0)
        here += [_machine(f"cpu-{number}", place, chance, 0.2) for number in range(without)]
        yield from here[:left]
        left -= len(here)
        if left <= 0:
            return


def _places(cloud: str) -> Iterator[Place]:
    for number in range(1, 100_000):
        region = {"gcp": f"us-central{number}", "vast": f"Texas {number}, US, NA"}.get(
            cloud, f"us-east-{number}"
        )
        if cloud in ("aws", "gcp", "ibm", "runpod"):
            for zone in "abc":
                short = {"aws": f"use{number}-az{ord(zone) - 96}", "gcp": f"{region}-{zone}"}
                yield Place(region, short.get(cloud, f"{region}-{zone}"))
        else:
            yield Place(region, "")


def _gpus(cloud: str, place: Place, chance: random.Random) -> Iterator[dict[str, object]]:
    machines = {"aws": AWS, "azure": AZURE, "runpod": RUNPOD, "vast": VAST}.get(cloud, OTHERS)
    for name, gpu, count in machines:
        row = _machine(name, place, chance, count * PER_HOUR[gpu.partition("-")[0]])
        row |= {"AcceleratorName": gpu, "AcceleratorCount": float(count)}
        row["GpuInfo"] = _gpu_info(cloud, gpu, count)
        if cloud == "vast":
            row["SpotPrice"] = "0.00"
        elif cloud == "runpod":
            row["SpotPrice"] = row["Price"]
        elif cloud in ("lambda", "do", "cudo", "hyperbolic"):
            row["SpotPrice"] = ""
        yield row


def _gpus_of_gcp(place: Place, chance: random.Random) -> Iterator[dict[str, object]]:
    for (gpu, count), hosts in GCP_HOSTS.items():
        row = _machine("", place, chance, count * PER_HOUR[gpu.partition("-")[0]])
        yield row | {"vCPUs": "", "MemoryGiB": "", "AcceleratorName": gpu,
                     "AcceleratorCount": count,
                     "GpuInfo": "{'Gpus': [{'MemoryInfo': {'SizeInMiB': 16384}}]}"}  # fmt: skip
        for host in hosts:
            yield _machine(host, place, chance, 0.1 * count)
    yield _machine("", place, chance, 1.2) | {
        "AcceleratorName": "tpu-v6e-1", "AcceleratorCount": 1, "GpuInfo": "tpu-v6e-1",
    }  # fmt: skip


def _machine(name: str, place: Place, chance: random.Random, around: float) -> dict[str, object]:
    price = round(around * chance.uniform(0.8, 1.4), 5)
    return {
        "InstanceType": name,
        "UpstreamCloudId": name,
        "vCPUs": 8.0,
        "MemoryGiB": 32.0,
        "Price": price,
        "SpotPrice": round(price * chance.uniform(0.2, 0.9), 5),
        "Region": place.region,
        "AvailabilityZone": place.zone,
        "Arch": "x86_64",
        "Generation": "V1,V2",
    }


def _gpu_info(cloud: str, gpu: str, count: int) -> str:
    """As each cloud has it: a bare name, a Python dict or JSON, of one GPU or of all, MiB or GB."""
    if cloud == "azure":
        return gpu
    gib = 80 if "80GB" in gpu or "H100" in gpu else GIB[gpu.partition("-")[0]]
    size = gib if cloud in ("runpod", "shadeform") else gib * 1024
    if cloud in ("vast", "primeintellect"):
        size *= count
    info = {
        "Gpus": [{"Name": gpu, "Count": count, "MemoryInfo": {"SizeInMiB": size}}],
        "TotalGpuMemoryInMiB": size * count,
    }
    return json.dumps(info) if cloud in ("verda", "primeintellect") else str(info)
