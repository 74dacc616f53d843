"""`prices show` beside SkyPilot itself: the same folder of catalogs, the same question.

For every GPU the lowest spot price that we find is no higher than SkyPilot's. It may be lower:
SkyPilot reports the spot price of the row with the lowest on-demand price, we the lowest there is.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks.made.hosted_catalog import make_catalog
from skyserve_llm.sources.clouds import load_clouds

ROWS = 6000
"""A few zones of each of 24 clouds; the first zones have every machine."""

_ASK_SKYPILOT = """
import json, math
from sky import catalog
from sky.catalog import constants

told = []
for cloud in constants.ALL_CLOUDS:
    if cloud in ("kubernetes", "ssh"):  # what these have, a cluster must be asked for
        continue
    for name, offers in catalog.list_accelerators(gpus_only=True, clouds=cloud).items():
        for one in offers:
            if not math.isnan(one.spot_price):
                told.append([cloud, name, int(one.accelerator_count), one.price, one.spot_price])
print(json.dumps(told))
"""

Kind = tuple[str, str, int]
"""Cloud, SkyPilot's name of the GPU, and how many."""


def output_of(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


@pytest.mark.skipif(find_spec("sky") is None, reason="SkyPilot is not installed")
def test_no_spot_price_is_above_skypilots(tmp_path: Path) -> None:
    catalogs = tmp_path / ".sky" / "catalogs"
    make_catalog(catalogs, ROWS)
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "LLMBUDGET_HOME": str(tmp_path / "home"),
    }
    llmbudget = str(Path(sys.executable).with_name("llmbudget"))
    output_of([llmbudget, "prices", "refresh", "--from", str(catalogs)], environment)
    shown: dict[str, Any] = json.loads(
        output_of([llmbudget, "prices", "show", "--spot", "-o", "json"], environment)
    )
    ours: dict[Kind, float] = {}
    for row in shown["rows"]:
        kind = row["cloud"], row["accelerator"], row["gpu_count"]
        ours.setdefault(kind, float(row["price_per_hour"]))  # rows come cheapest first
    told = json.loads(
        output_of([sys.executable, "-c", _ASK_SKYPILOT], environment).splitlines()[-1]
    )

    clouds = load_clouds()
    lower = compared = 0
    for cloud, name, count, price, spot in told:
        no_spot_there = not clouds[cloud].spot
        no_price, no_discount, no_gpu = spot == 0, spot == price, name.startswith("tpu")
        if no_spot_there or no_price or no_discount or no_gpu:
            assert (cloud, name, count) not in ours
            continue
        assert ours[cloud, name, count] <= spot, (cloud, name, count)
        compared += 1
        lower += ours[cloud, name, count] < spot
    assert compared > 150
    assert 0 < lower < compared
