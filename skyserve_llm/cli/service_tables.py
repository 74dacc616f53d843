"""Running services and their bill as tables. Returns renderables, prints nothing."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.table import Table
from rich.text import Text

from skyserve_llm.cli.tables import plain_table
from skyserve_llm.service.types import CostReport, ReplicaStatus, ServiceStatus
from skyserve_llm.units import duration, usd, usd_per_hour

UNKNOWN = "unknown"


def status_report(found: Sequence[ServiceStatus], *, ended: bool) -> Iterator[Table | Text]:
    """One table of services, one of their replicas."""
    services = plain_table("NAME", "BACKEND", "STATE", "REPLICAS", "ENDPOINT", "MODEL")
    replicas = plain_table(
        "SERVICE", "ID", "STATE", "INFRA", "GPUS", "SPOT", "$/hr", "AGE", "WHY", right={1, 6, 7}
    )
    for status in found:
        services.add_row(
            status.name,
            status.backend,
            status.state,
            f"{status.ready_replicas}/{status.target_replicas}",
            status.endpoint or "",
            status.model or UNKNOWN,
        )
        for replica in status.replicas:
            if ended or replica.ended_at is None:
                replicas.add_row(status.name, *_replica(replica, status.observed_at))
    yield services
    for status in found:
        if status.reason:
            yield Text(f"{status.name}: {status.reason}\n", style="bold")
    if replicas.row_count:
        yield replicas


def _replica(replica: ReplicaStatus, now: datetime) -> tuple[str, ...]:
    age = ""
    if replica.launched_at:
        age = duration(((replica.ended_at or now) - replica.launched_at).total_seconds())
    price = replica.price_per_hour
    return (
        str(replica.replica_id),
        replica.state,
        replica.infra,
        replica.accelerators or "",
        "spot" if replica.spot else "",
        UNKNOWN if price is None else usd_per_hour(price),
        age,
        replica.reason or "",
    )


def cost_tables(report: CostReport) -> Iterator[Table | Text]:
    """A line a replica, the total, and what is left out."""
    table = plain_table(
        "SERVICE", "REPLICA", "INFRA", "GPUS", "SPOT", "STATE", "TIME", "$/hr", "SO FAR", "$/month",
        right={1, 6, 7, 8, 9},
    )  # fmt: skip
    for line in report.lines:
        table.add_row(
            line.service,
            str(line.replica_id),
            line.infra,
            line.accelerators or "",
            "spot" if line.spot else "",
            line.state,
            duration(float(line.hours) * 3600),
            UNKNOWN if line.price_per_hour is None else usd_per_hour(line.price_per_hour),
            UNKNOWN if line.so_far is None else usd(line.so_far, 4),
            usd(line.per_month) if line.per_month else "",  # nothing runs: nothing to come
        )
    table.add_section()
    table.add_row(
        "total", "", "", "", "", "", "",
        usd_per_hour(report.price_per_hour), usd(report.so_far, 4), usd(report.per_month),
        style="bold",
    )  # fmt: skip
    yield table
    if report.unpriced:
        yield Text(f"{report.unpriced} of unknown price are not in the total")
    if report.note:
        yield Text(report.note, style="dim")
