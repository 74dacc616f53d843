"""One name for every card, whatever a cloud or a price list calls it.

The names are those of ``pricing/gpus.csv``. A bare "A100" or "H100" is four different cards, and
which one it is depends on the cloud and the machine: that is what ``_ON_CLOUD`` knows. A name that
could be several cards, with nothing in the row to tell them apart, has no card: it is never
guessed.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

AMBIGUOUS = None
"""What a name means that could be several cards."""

A100_40GB_PCIE = "A100-40GB-PCIe"
"""Not a row of gpus.csv: see ``single_card``."""

_CARDS: dict[str, str | None] = {
    "V10016GB": "V100",
    "V10032GB": "V100-32GB",
    "T4": "T4",
    "A10": "A10",
    "A10G": "A10G",
    "L4": "L4",
    "L40": "L40",
    "L40S": "L40S",
    "A30": "A30",
    "A40": "A40",
    "A100SXM440GB": "A100",
    "A100SXM40GB": "A100",
    "A10040GBSXM": "A100",
    "A10040GBPCIE": A100_40GB_PCIE,
    "A100PCIE40GB": A100_40GB_PCIE,
    "A100SXM480GB": "A100-80GB",
    "A100SXM80GB": "A100-80GB",
    "A10080GBSXM": "A100-80GB",
    "A10080GBSXM4": "A100-80GB",
    "A10080GBPCIE": "A100-80GB-PCIe",
    "A100PCIE80GB": "A100-80GB-PCIe",
    "H100SXM": "H100",
    "H100SXM5": "H100",
    "HGXH100": "H100",
    "HGXH100SXM": "H100",
    "H100MEGA": "H100",  # GCP's a3-megagpu: the same card, a faster network
    "H100PCIE": "H100-PCIe",
    "H100NVL": "H100-NVL",
    "H10094GB": "H100-NVL",
    # The PCIe one is always sold as "H200 NVL", so a bare H200 is the SXM card.
    "H200": "H200",
    "H200SXM": "H200",
    "H200SXM5": "H200",
    "HGXH200": "H200",
    "B200": "B200",
    "B200SXM": "B200",
    "B200SXM6": "B200",
    "B300": "B300",
    "B300SXM6": "B300",
    "HGXB300": "B300",
    "GB200": "GB200",
    # CC is the same card with confidential computing on; S and SE its server edition.
    "RTXPRO6000": "RTXPRO6000",
    "RTXPRO6000S": "RTXPRO6000",
    "RTXPRO6000SE": "RTXPRO6000",
    "RTXPRO6000CC": "RTXPRO6000",
    "RTXPRO6000BLACKWELL": "RTXPRO6000",
    "RTX6000PRO": "RTXPRO6000",
    "RTX6000ADA": "RTX6000-Ada",
    "RTXA6000": "RTXA6000",
    "A6000": "RTXA6000",
    "RTX3090": "RTX3090",
    "RTX4090": "RTX4090",
    "RTX4090HIGHFREQ": "RTX4090",
    "RTX5090": "RTX5090",
    "RTX5090HIGHFREQ": "RTX5090",
    "MI300X": "MI300X",
    # 16 or 32 GB; 40 or 80 GB, SXM or PCIe; and "NVLink" is SXM here, a bridged PCIe pair there.
    "V100": AMBIGUOUS,
    "V100SXM2": AMBIGUOUS,
    "V100NVLINK": AMBIGUOUS,
    "A100": AMBIGUOUS,
    "A10040GB": AMBIGUOUS,
    "A10080GB": AMBIGUOUS,
    "A100SXM": AMBIGUOUS,
    "A100SXM4": AMBIGUOUS,
    "A100PCIE": AMBIGUOUS,
    "A100NVLINK": AMBIGUOUS,
    "A100NVLINK40GB": AMBIGUOUS,
    "A100NVLINK80GB": AMBIGUOUS,
    "A10080GBNVLINK": AMBIGUOUS,
    "H100": AMBIGUOUS,
    "H100NVLINK": AMBIGUOUS,
    "H100PCIENVLINK": AMBIGUOUS,
}


_SIZES_GIB: dict[str, tuple[int, ...]] = {
    "V100": (16, 32),
    "A100": (40, 80),
    "A100PCIE": (40, 80),
    "A100SXM": (40, 80),
    "A100SXM4": (40, 80),
    "H100": (80, 94),
}
"""The memory that cards of one name are made with, the plain one first."""


class _Machines(NamedTuple):
    """On ``cloud``, ``key`` in a machine whose type begins so is ``card``."""

    cloud: str
    key: str
    instance_type: str
    card: str


_ON_CLOUD = (
    _Machines("aws", "A100", r"p4d\.", "A100"),
    _Machines("aws", "A10080GB", r"p4de\.", "A100-80GB"),
    _Machines("aws", "H100", r"p5\.", "H100"),
    _Machines("aws", "V100", r"p3\.", "V100"),
    _Machines("azure", "A10080GB", r"Standard_NC\d+ads_A100_v4", "A100-80GB-PCIe"),
    _Machines("azure", "A10080GB", r"Standard_ND\d+amsr_A100_v4", "A100-80GB"),
    _Machines("azure", "H100", r"Standard_NC\d+ad\w*_H100_v5", "H100-NVL"),
    _Machines("azure", "H100", r"Standard_ND\d+isr_H100_v5", "H100"),
    _Machines("azure", "V100", r"Standard_NC\d+r?s_v3", "V100"),
    _Machines("cudo", "A10080GB", r".+-a100-pci", "A100-80GB-PCIe"),
    _Machines("do", "H100", r"gpu-h100x", "H100"),  # its price page says HGX
    _Machines("fluidstack", "A10080GB", r"A100_PCIE_80GB::", "A100-80GB-PCIe"),
    _Machines("fluidstack", "H100", r"H100_PCIE_80GB::", "H100-PCIe"),
    _Machines("gcp", "A100", r"a2-(highgpu|megagpu)-", "A100"),
    _Machines("gcp", "A10080GB", r"a2-ultragpu-", "A100-80GB"),
    _Machines("gcp", "H100", r"a3-", "H100"),
    # Its GpuInfo names the driver's "NVIDIA-H100-80GB-HBM3": the PCIe card has HBM2e.
    _Machines("hyperbolic", "H100", r"\d+x-H100-", "H100"),
    _Machines("lambda", "A100", r"gpu_[124]x_a100$", A100_40GB_PCIE),
    _Machines("lambda", "A100", r"gpu_(8x_a100|1x_a100_sxm4)$", "A100"),
    _Machines("lambda", "A10080GB", r"gpu_\dx_a100_80gb_sxm4$", "A100-80GB"),
    _Machines("lambda", "H100", r"gpu_\dx_h100_pcie$", "H100-PCIe"),
    _Machines("lambda", "H100", r"gpu_\dx_h100_sxm5$", "H100"),
    _Machines("lambda", "V100", r"gpu_8x_v100", "V100"),
    _Machines("mithril", "A10080GB", r"a100-80gb\.sxm", "A100-80GB"),
    _Machines("mithril", "H100", r"h100-80gb\.sxm", "H100"),
    _Machines("nebius", "H100", r"gpu-h100-sxm_", "H100"),
    _Machines("oci", "A100", r"BM\.GPU4\.8$", "A100"),
    _Machines("oci", "A10080GB", r"BM\.GPU\.A100-v2\.8$", "A100-80GB"),
    _Machines("oci", "H100", r"BM\.GPU\.H100\.8$", "H100"),
    _Machines("oci", "V100", r"(VM|BM)\.GPU3\.", "V100"),
    _Machines("paperspace", "V100", r"V100", "V100"),  # the 32 GB one is V100-32G there
    # RunPod rents A100s of 80 GB only, and names SXM and NVL cards apart from bare (PCIe) ones.
    _Machines("runpod", "A10080GB", r"\d+x_A100-80GB_", "A100-80GB-PCIe"),
    _Machines("runpod", "A100PCIE", r"runpod-", "A100-80GB-PCIe"),
    _Machines("runpod", "A100SXM", r"runpod-", "A100-80GB"),
    _Machines("runpod", "H100", r"\d+x_H100_", "H100-PCIe"),
    _Machines("shadeform", "A100", r".+_A100-sxm4(x\d)?$", "A100"),
    _Machines("shadeform", "A10080GB", r".+_A100-(80GB?-sxm4|sxm4-80GB?)(x\d)?$", "A100-80GB"),
    _Machines("shadeform", "H100", r".+_H100-sxm5", "H100"),
    _Machines("vast", "A100", r"\d+x-A100_SXM4", "A100"),
    _Machines("vast", "A100", r"\d+x-A100_PCIE", A100_40GB_PCIE),
    _Machines("vast", "A10080GB", r"\d+x-A100_SXM4", "A100-80GB"),
    _Machines("vast", "A10080GB", r"\d+x-A100_PCIE", "A100-80GB-PCIe"),
    _Machines("vast", "H100", r"\d+x-H100_SXM", "H100"),
    _Machines("vast", "H100", r"\d+x-H100_NVL", "H100-NVL"),
    _Machines("vast", "H100", r"\d+x-H100_PCIE", "H100-PCIe"),
    _Machines("vast", "V100", r"\d+x-Tesla_V100", "V100"),  # SkyPilot: 32 GB ones are V100-32GB
    _Machines("verda", "A10080GB", r"\dA100\.(22|44|88|176)V", "A100-80GB"),
    _Machines("verda", "H100", r"\dH100\.80S\.", "H100"),
    _Machines("verda", "V100", r"(\dV100\.|verda-v100)", "V100"),
)


@cache
def card(cloud: str, name: str, instance_type: str, gpu_mib: int | None = None) -> str | None:
    """The card a raw row names; AMBIGUOUS where it could be several.

    A name that means one card everywhere is looked up first, then the cloud's own machines, then
    the memory a price list writes into its row's id (``coreweave-a100-40gb-pcie``). ``gpu_mib``,
    what one GPU of the row holds, tells cards of one name apart and nothing else. A name that is
    no known card at all comes back as it is, and is then found missing from gpus.csv.
    """
    key = _key(name)
    if key not in _CARDS:
        return name
    for exact in _by_size(key, gpu_mib):
        if _CARDS.get(exact):
            return _CARDS[exact]
        for rule in _ON_CLOUD:
            if (rule.cloud, rule.key) == (cloud, exact) and re.match(
                rule.instance_type, instance_type
            ):
                return rule.card
    memory = re.search(r"-(16|32|40|80)gb(-|$)", instance_type)
    return _CARDS.get(f"{key}{memory.group(1)}GB") if memory else AMBIGUOUS


def _by_size(key: str, gpu_mib: int | None) -> tuple[str, ...]:
    """The keys to look a card up by, the most exact first.

    A cloud that calls its 80 GB card "A100" must not be taken by the rules for "A100", which are
    about the plain card of 40 GB.
    """
    sizes = _SIZES_GIB.get(key, ())
    size = next((one for one in sizes if gpu_mib and abs(gpu_mib / 1024 / one - 1) < 0.06), None)
    if size is None:
        return (key,)
    return (f"{key}{size}GB", key) if size == sizes[0] else (f"{key}{size}GB",)


def single_card(variant: str, count: int) -> str:
    """The gpus.csv row that holds for a card. Alone, a 40 GB PCIe A100 is what the SXM one is.

    Memory, bandwidth and arithmetic agree; only the link between cards differs, and one card has
    none. In groups it has no row.
    """
    return "A100" if variant == A100_40GB_PCIE and count == 1 else variant


def _key(name: str) -> str:
    """``'NVIDIA RTX 6000 Ada'`` and ``'RTX-6000-Ada'`` -> ``'RTX6000ADA'``."""
    bare = re.sub(r"\b(NVIDIA|AMD|TESLA|GEFORCE)\b", "", name.upper())
    return re.sub(r"[^A-Z0-9]", "", bare)
