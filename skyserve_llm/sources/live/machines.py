"""What the price table knows of a cloud: its GPU machines, and what it calls its zones."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from skyserve_llm.sources.price_table import (
    ACCELERATOR,
    CLOUD,
    GPU,
    GPU_COUNT,
    INSTANCE_TYPE,
    REGION,
    ZONE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import date

    from skyserve_llm.sources.price_table import Row


class Machine(NamedTuple):
    """What an instance type holds, in the words of the table."""

    gpu: str
    accelerator: str
    gpu_count: str


class Cloud(NamedTuple):
    """A cloud as the table knows it."""

    id: str
    machines: dict[str, Machine]
    regions: frozenset[str]
    zones: frozenset[str]

    def row(
        self, region: str, zone: str, instance_type: str, *, spot: bool, price: str, today: date,
        source: str,
    ) -> Row:  # fmt: skip
        """A row of the table, without marks."""
        machine = self.machines[instance_type]
        return [
            self.id, region, zone, instance_type, machine.gpu, machine.accelerator,
            machine.gpu_count, "1" if spot else "0", price, today.isoformat(), source,
        ]  # fmt: skip


class Answer(NamedTuple):
    """Today's prices: rows of the table, without marks, and which of its rows they replace."""

    rows: list[Row]
    covers: Callable[[Row], bool]


def known_cloud(cloud: str, rows: Iterable[Row]) -> Cloud:
    """What ``rows`` of a table say of ``cloud``."""
    own = [row for row in rows if row[CLOUD] == cloud]
    return Cloud(
        id=cloud,
        machines={
            row[INSTANCE_TYPE]: Machine(row[GPU], row[ACCELERATOR], row[GPU_COUNT]) for row in own
        },
        regions=frozenset(row[REGION] for row in own if row[REGION]),
        zones=frozenset(row[ZONE] for row in own if row[ZONE]),
    )
