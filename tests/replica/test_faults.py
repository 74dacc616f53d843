"""The fault battery in the size of a test suite; ``benchmarks/fault_battery.py`` runs it larger."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.replica.faults import battery
from tests.replica.faults.fault import Fault, commit
from tests.replica.faults.target import Target


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with battery.replica() as running:
        yield running


@pytest.mark.parametrize("fault", battery.all_faults(1), ids=lambda fault: fault.name)
def test_the_replica_stands(target: Target, fault: Fault) -> None:
    finding = asyncio.run(commit(fault, target))
    assert finding.tries > 0
    assert finding.problems == []
