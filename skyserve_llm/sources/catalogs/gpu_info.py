"""What one GPU of a row holds, out of the column ``GpuInfo`` of SkyPilot's catalogs.

The column is a Python dict in some catalogs and JSON in others, a bare name on Azure, and its
figures mean another thing on nearly every cloud; some are wrong. It serves to tell cards of one
name apart (an A100 of 40 GB from one of 80) and for nothing else: the memory we plan with is that
of gpus.csv.
"""

from __future__ import annotations

import re
from functools import cache

_SIZE = re.compile(r"SizeInMiB\W+(\d+)")

_OF_ALL_GPUS = {"vast", "primeintellect"}
"""Clouds whose ``SizeInMiB`` is that of all the row's GPUs together."""

_LEAST_MIB = 1024
"""No card holds less: a smaller figure is in GB, as RunPod and Shadeform give it."""


@cache
def gpu_mib(cloud: str, gpu_info: str, count: str) -> int | None:
    """MiB of one GPU; None where the row does not say.

    ``"{'Gpus': [{'Name': 'H200', 'Count': 2, 'MemoryInfo': {'SizeInMiB': 287542}}], …"`` of Vast is
    two cards of 143771 MiB.
    """
    found = _SIZE.search(gpu_info)
    size = int(found.group(1)) if found else 0
    if not size:
        return None
    if size < _LEAST_MIB:
        size *= 1024
    if cloud in _OF_ALL_GPUS and count.isdecimal() and int(count):
        size //= int(count)
    return size
