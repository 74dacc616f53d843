from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.local.helpers import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An empty folder of services; whatever runs at the end of the test is killed."""
    bench = Bench(tmp_path / "services")
    yield bench
    bench.end_everything()
