"""GCP in SkyPilot's catalogs: a machine and its GPUs are priced in rows of their own.

A GPU's row has a zone and a count but no instance type; the machine that carries the GPUs has a row
without them. What is paid is both, spot and on-demand alike. Which machine carries which GPUs is
not in the catalog: it is Google's rule, here as SkyPilot has it, against which a test holds it.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from skyserve_llm.sources.catalogs.rows import Machine

CLOUD = "gcp"

NO_HOST = "GCP GPU with no machine in its zone that could carry it"

HOSTS: dict[str, dict[str, tuple[str, ...]]] = {
    "A100": {
        "1": ("a2-highgpu-1g",),
        "2": ("a2-highgpu-2g",),
        "4": ("a2-highgpu-4g",),
        "8": ("a2-highgpu-8g",),
        "16": ("a2-megagpu-16g",),
    },
    "A100-80GB": {
        "1": ("a2-ultragpu-1g",),
        "2": ("a2-ultragpu-2g",),
        "4": ("a2-ultragpu-4g",),
        "8": ("a2-ultragpu-8g",),
    },
    "L4": {
        "1": (
            "g2-standard-4",
            "g2-standard-8",
            "g2-standard-12",
            "g2-standard-16",
            "g2-standard-32",
        ),
        "2": ("g2-standard-24",),
        "4": ("g2-standard-48",),
        "8": ("g2-standard-96",),
    },
    "H100": {
        "1": ("a3-highgpu-1g",),
        "2": ("a3-highgpu-2g",),
        "4": ("a3-highgpu-4g",),
        "8": ("a3-highgpu-8g",),
    },
    "H100-MEGA": {"8": ("a3-megagpu-8g",)},
    "H200": {"8": ("a3-ultragpu-8g",)},
    "B200": {"8": ("a4-highgpu-8g",)},
    "RTXPRO6000": {
        "1": ("g4-standard-48",),
        "2": ("g4-standard-96",),
        "4": ("g4-standard-192",),
        "8": ("g4-standard-384",),
    },
}
"""GPU and count -> the machines made for them (``_ACC_INSTANCE_TYPE_DICTS`` in SkyPilot 0.14.1)."""

N1_VCPUS = {
    "T4": {"1": 4, "2": 8, "4": 48},
    "V100": {"1": 8, "2": 16, "4": 32, "8": 64},
}
"""Other GPUs are attached to an N1 machine of at least so many vCPUs (``_NUM_ACC_TO_NUM_CPU``)."""

N1_FAMILIES = ("n1-standard-", "n1-highmem-", "n1-highcpu-")
N1_GIB_PER_VCPU = 4


def add_up(machines: Iterable[Machine], dropped: Counter[str]) -> list[Machine]:
    """GPUs and the machines that carry them, as rows that cost what both cost.

    A GPU that several machines are made for gives a row for each of them. TPUs, which are machines
    themselves, stay as they are. GPUs that nothing in their zone can carry are counted in
    ``dropped``.
    """
    hosts: dict[str, dict[str, Machine]] = defaultdict(dict)
    gpus = []
    for machine in machines:
        if machine.acc:
            gpus.append(machine)
        else:
            hosts[machine.zone][machine.instance_type] = machine
    whole = []
    for gpu in gpus:
        if gpu.acc.startswith("tpu-") or gpu.instance_type:
            whole.append(gpu)
            continue
        carriers = _carriers(gpu, hosts[gpu.zone])
        if not carriers:
            dropped[NO_HOST] += 1
        whole += [
            gpu._replace(
                instance_type=host.instance_type,
                vcpus=host.vcpus,
                mem_gib=host.mem_gib,
                price=_sum(gpu.price, host.price),
                spot=_sum(gpu.spot, host.spot),
            )
            for host in carriers
        ]
    return whole


def _carriers(gpu: Machine, here: dict[str, Machine]) -> list[Machine]:
    """The machines of a zone that carry a GPU; of N1 machines the cheapest, as SkyPilot takes."""
    if gpu.acc in HOSTS:
        names = HOSTS[gpu.acc].get(gpu.gpu_count, ())
        return [here[name] for name in names if name in here]
    vcpus = N1_VCPUS.get(gpu.acc, {}).get(gpu.gpu_count)
    if vcpus is None:
        return []
    fitting = [
        host
        for host in here.values()
        if host.instance_type.startswith(N1_FAMILIES)
        and host.price
        and float(host.vcpus or 0) >= vcpus
        and float(host.mem_gib or 0) >= vcpus * N1_GIB_PER_VCPU
    ]
    fitting.sort(key=lambda host: (Decimal(host.price), host.instance_type))
    return fitting[:1]


def _sum(gpu: str, host: str) -> str:
    """Both prices together; '' where either is missing: half a price is none."""
    if not gpu or not host or not Decimal(gpu) or not Decimal(host):
        return ""
    return str(Decimal(gpu) + Decimal(host))
