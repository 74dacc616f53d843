"""The ledger: what ran, from when to when and at what price, in one SQLite file.

Every ``ServiceStatus`` that a command gets to see is recorded; what it says of each replica
becomes a billed interval. An end that nobody saw (a replica that is simply no longer listed,
a service that a newer one of the same name replaced) is put where the replica was last seen:
no time is billed that nobody saw. Knows SQL and the nouns of running services; the file is
ledger_file.py's business, what things cost report.py's.
"""

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from skyserve_llm.service.ledger_file import LedgerFile
from skyserve_llm.service.types import (
    ReplicaInterval,
    ReplicaState,
    ReplicaStatus,
    ServiceState,
    ServiceStatus,
)


class Ledger:
    """The ledger in the file ``path``, made if it is not there. Closed by ``with``.

    Raises:
        BackendError: here and in every method, for a file that cannot be used. Nothing in it
            is overwritten.
    """

    def __init__(self, path: Path) -> None:
        self._file = LedgerFile(path)
        self._database = self._file.database

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()

    def record(self, status: ServiceStatus) -> None:
        """Write down what ``status`` says. The same status twice changes nothing."""
        with self._file.transaction():
            deployment = self._deployment_of(status)
            seen = {
                key
                for replica in status.replicas
                if (key := self._upsert(deployment, replica, status))
            }
            if status.state is not ServiceState.UNKNOWN:
                self._end_unlisted(deployment, seen, status)
            if status.state is ServiceState.SHUTTING_DOWN and not _alive(status):
                self._database.execute(
                    "UPDATE deployment SET ended_at = ? WHERE id = ? AND ended_at IS NULL",
                    (_text(status.observed_at), deployment),
                )

    def intervals(self, service: str | None = None) -> list[ReplicaInterval]:
        """Every interval of the services of that name, or of all, oldest deployment first."""
        with self._file.clear_errors():
            rows = self._database.execute(
                "SELECT d.id, d.service, d.backend, r.* FROM replica r"
                " JOIN deployment d ON d.id = r.deployment"
                " WHERE ?1 IS NULL OR d.service = ?1"
                " ORDER BY d.created_at, d.id, r.launched_at, r.replica_id",
                (service,),
            ).fetchall()
            return [_interval(row) for row in rows]

    # --- parts of a record ---------------------------------------------------------------

    def _deployment_of(self, status: ServiceStatus) -> str:
        latest = self._database.execute(
            "SELECT id, created_at, ended_at FROM deployment WHERE service = ? AND backend = ?"
            " ORDER BY created_at DESC LIMIT 1",
            (status.name, status.backend),
        ).fetchone()
        if status.created_at is None and latest is not None and latest["ended_at"] is None:
            return str(latest["id"])  # a backend that cannot say: the one that is not over
        launched = [r.launched_at for r in status.replicas if r.launched_at]
        created_at = _text(status.created_at or min(launched, default=status.observed_at))
        deployment = f"{status.name}@{created_at}"
        added = self._database.execute(
            "INSERT INTO deployment (id, service, backend, model, created_at)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (deployment, status.name, status.backend, status.model, created_at),
        )
        if added.rowcount:
            self._end_replaced(status, created_at)
        return deployment

    def _end_replaced(self, status: ServiceStatus, created_at: str) -> None:
        """One name, one service: the ones before a new one are over."""
        which = (status.name, status.backend, created_at)
        self._database.execute(
            "UPDATE replica SET ended_at = last_seen, state = ?"
            " WHERE ended_at IS NULL AND deployment IN (SELECT id FROM deployment"
            " WHERE service = ? AND backend = ? AND created_at < ?)",
            (ReplicaState.TERMINATED, *which),
        )
        self._database.execute(
            "UPDATE deployment SET ended_at = ? WHERE ended_at IS NULL"
            " AND service = ? AND backend = ? AND created_at < ?",
            (created_at, *which),
        )

    def _upsert(
        self, deployment: str, replica: ReplicaStatus, status: ServiceStatus
    ) -> tuple[int, str] | None:
        """Returns the key of the replica's interval, None if it never was launched."""
        known = self._database.execute(
            "SELECT launched_at, ended_at, last_seen FROM replica"
            " WHERE deployment = ? AND replica_id = ? ORDER BY launched_at DESC LIMIT 1",
            (deployment, replica.replica_id),
        ).fetchone()
        if replica.launched_at is not None:
            launched_at = _text(replica.launched_at)
        elif known is not None:
            launched_at = known["launched_at"]  # its machine is gone, and its launch with it
        else:
            return None
        same = known is not None and known["launched_at"] == launched_at
        ended_at = _end(replica, status, known if same else None)
        self._database.execute(
            "INSERT INTO replica VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " ended_at = excluded.ended_at, last_seen = excluded.last_seen,"
            " state = excluded.state, infra = excluded.infra,"
            # What was known once is not forgotten because a dead replica no longer tells it.
            " instance_type = coalesce(excluded.instance_type, instance_type),"
            " accelerators = coalesce(excluded.accelerators, accelerators),"
            " price_per_hour = coalesce(excluded.price_per_hour, price_per_hour)"
            " WHERE excluded.last_seen >= last_seen",
            (
                *(deployment, replica.replica_id, launched_at, ended_at),
                *(_text(status.observed_at), replica.state, replica.infra),
                *(replica.instance_type, replica.accelerators, replica.spot),
                None if replica.price_per_hour is None else str(replica.price_per_hour),
            ),
        )
        return replica.replica_id, launched_at

    def _end_unlisted(
        self, deployment: str, seen: set[tuple[int, str]], status: ServiceStatus
    ) -> None:
        rows = self._database.execute(
            "SELECT replica_id, launched_at FROM replica"
            " WHERE deployment = ? AND ended_at IS NULL AND last_seen < ?",
            (deployment, _text(status.observed_at)),
        ).fetchall()
        self._database.executemany(
            "UPDATE replica SET ended_at = last_seen, state = ?"
            " WHERE deployment = ? AND replica_id = ? AND launched_at = ?",
            [
                (ReplicaState.TERMINATED, deployment, *row)
                for row in map(tuple, rows)
                if row not in seen
            ],
        )


def _end(replica: ReplicaStatus, status: ServiceStatus, known: sqlite3.Row | None) -> str | None:
    """When the replica ended, as precisely as anybody knows; None while it runs."""
    told = replica.ended_at and _text(replica.ended_at)
    if told is None and replica.state.alive:
        return None
    if known is None:
        return told or _text(status.observed_at)
    if known["ended_at"] is not None:
        # A status may date every end alike when the service goes down: the first word stands.
        return min(str(known["ended_at"]), told or str(known["ended_at"]))
    return told or str(known["last_seen"])


def _alive(status: ServiceStatus) -> bool:
    return any(replica.state.alive and replica.ended_at is None for replica in status.replicas)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _interval(row: Any) -> ReplicaInterval:
    price = row["price_per_hour"]
    return ReplicaInterval(
        deployment=row["deployment"],
        service=row["service"],
        backend=row["backend"],
        replica_id=row["replica_id"],
        launched_at=datetime.fromisoformat(row["launched_at"]),
        ended_at=row["ended_at"] and datetime.fromisoformat(row["ended_at"]),
        last_seen=datetime.fromisoformat(row["last_seen"]),
        state=ReplicaState(row["state"]),
        infra=row["infra"],
        instance_type=row["instance_type"],
        accelerators=row["accelerators"],
        spot=bool(row["spot"]),
        price_per_hour=None if price is None else Decimal(price),
    )
