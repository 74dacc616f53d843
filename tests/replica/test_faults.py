"""The fault battery in the size of a test suite; ``benchmarks/fault_battery.py`` runs it larger."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.replica.faults import battery, streams
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


def test_a_thousand_streams_at_once_and_none_is_lost() -> None:
    with battery.replica(streams.FLAGS) as many:
        found = asyncio.run(streams.many(many, 1000))
    assert (found.whole, found.at_once) == (1000, 1000)
    assert found.bytes_each < 200 * 1024
