"""Which GCP machine carries which GPUs is what the installed SkyPilot says."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from skyserve_llm.sources.catalogs import gcp

_ASK_SKYPILOT = """
import json, sys
from sky.catalog import gcp_catalog as gcp
json.dump({
    "hosts": gcp._ACC_INSTANCE_TYPE_DICTS,
    "vcpus": gcp._NUM_ACC_TO_NUM_CPU,
    "families": gcp._DEFAULT_HOST_VM_FAMILY,
    "ratio": gcp._DEFAULT_GPU_MEMORY_CPU_RATIO,
}, sys.stdout)
"""


@pytest.mark.skipif(find_spec("sky") is None, reason="SkyPilot is not installed")
def test_hosts_are_those_of_the_installed_skypilot(tmp_path: Path):
    asked = subprocess.run(
        [sys.executable, "-c", _ASK_SKYPILOT],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
        timeout=120,
    )
    told = json.loads(asked.stdout)
    ours = {
        gpu: {count: list(names) for count, names in counts.items()}
        for gpu, counts in gcp.HOSTS.items()
    }
    assert ours == told["hosts"]
    for gpu, counts in gcp.N1_VCPUS.items():
        assert counts == told["vcpus"][gpu]
    assert [f"{family}-" for family in told["families"]] == list(gcp.N1_FAMILIES)
    assert told["ratio"] == gcp.N1_GIB_PER_VCPU
