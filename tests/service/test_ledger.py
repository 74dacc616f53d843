"""The ledger: what statuses say becomes intervals, and the file survives what may come."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from skyserve_llm.errors import BackendError
from skyserve_llm.service.ledger import Ledger
from skyserve_llm.service.types import (
    ReplicaInterval,
    ReplicaState,
    ReplicaStatus,
    ServiceState,
    ServiceStatus,
)
from tests.service.local.helpers import wait_for

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def replica(replica_id: int = 1, **changes: object) -> ReplicaStatus:
    values = {
        "state": ReplicaState.READY,
        "url": "http://10.0.0.1:8000",
        "infra": "gcp/us-central1-a",
        "instance_type": "g2-standard-4",
        "accelerators": "L4:1",
        "spot": True,
        "price_per_hour": Decimal("0.2184"),
        "launched_at": T0,
    }
    return ReplicaStatus(replica_id=replica_id, **(values | changes))  # type: ignore[arg-type]


def seen(*replicas: ReplicaStatus, at: datetime = T0 + MINUTE, **changes: object) -> ServiceStatus:
    values = {
        "name": "chat",
        "backend": "skypilot",
        "model": "acme/llama",
        "state": ServiceState.READY,
        "endpoint": "http://10.0.0.2:30001",
        "target_replicas": len(replicas),
        "created_at": T0 - MINUTE,
    }
    return ServiceStatus(replicas=replicas, observed_at=at, **(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    with Ledger(path) as ledger:
        yield ledger


def test_a_replica_becomes_an_interval(ledger):
    ledger.record(seen(replica()))
    (interval,) = ledger.intervals("chat")
    assert interval.deployment == "chat@2026-03-01T11:59:00.000000+00:00"
    assert (interval.launched_at, interval.ended_at) == (T0, None)
    assert interval.last_seen == T0 + MINUTE
    assert interval.price_per_hour == Decimal("0.2184")
    assert (interval.backend, interval.spot, interval.accelerators) == ("skypilot", True, "L4:1")


def test_the_same_status_twice_changes_nothing(ledger):
    ledger.record(seen(replica(), replica(2)))
    before = ledger.intervals()
    ledger.record(seen(replica(), replica(2)))
    assert ledger.intervals() == before


def test_what_never_was_launched_is_not_billed(ledger):
    ledger.record(seen(replica(state=ReplicaState.PENDING, launched_at=None)))
    assert ledger.intervals() == []


def test_an_end_that_was_told(ledger):
    ledger.record(seen(replica()))
    ended = replica(state=ReplicaState.FAILED, ended_at=T0 + 2 * MINUTE)
    ledger.record(seen(ended, at=T0 + 5 * MINUTE))
    (interval,) = ledger.intervals()
    assert (interval.ended_at, interval.state) == (T0 + 2 * MINUTE, ReplicaState.FAILED)


def test_an_end_that_nobody_saw_is_put_where_it_was_last_seen(ledger):
    ledger.record(seen(replica(), replica(2)))
    ledger.record(seen(replica(3), replica(state=ReplicaState.PREEMPTED), at=T0 + 9 * MINUTE))
    first, second, third = ledger.intervals()
    assert (first.ended_at, first.state) == (T0 + MINUTE, ReplicaState.PREEMPTED)
    assert (second.ended_at, second.state) == (T0 + MINUTE, ReplicaState.TERMINATED)
    assert third.ended_at is None


def test_the_first_word_on_an_end_stands(ledger):
    """`down` dates whatever has ended: that must not lengthen an old replica's bill."""
    ledger.record(seen(replica(state=ReplicaState.FAILED), at=T0 + MINUTE))
    downed = replica(state=ReplicaState.FAILED, ended_at=T0 + 60 * MINUTE)
    ledger.record(seen(downed, at=T0 + 60 * MINUTE, state=ServiceState.SHUTTING_DOWN))
    assert ledger.intervals()[0].ended_at == T0 + MINUTE


def test_a_replica_whose_machine_is_gone_is_found_by_its_id(ledger):
    ledger.record(seen(replica()))
    gone = replica(
        state=ReplicaState.PREEMPTED, launched_at=None, price_per_hour=None, accelerators=None
    )
    ledger.record(seen(gone, at=T0 + 3 * MINUTE))
    (interval,) = ledger.intervals()
    assert interval.ended_at == T0 + MINUTE
    assert (interval.price_per_hour, interval.accelerators) == (Decimal("0.2184"), "L4:1")


def test_a_service_that_cannot_be_asked_has_not_ended(ledger):
    ledger.record(seen(replica()))
    ledger.record(seen(at=T0 + 3 * MINUTE, state=ServiceState.UNKNOWN))
    assert ledger.intervals()[0].ended_at is None


def test_an_old_status_does_not_undo_a_newer_one(ledger):
    ledger.record(
        seen(replica(ended_at=T0 + MINUTE, state=ReplicaState.FAILED), at=T0 + 5 * MINUTE)
    )
    ledger.record(seen(replica(), at=T0 + MINUTE))
    assert ledger.intervals()[0].ended_at == T0 + MINUTE


def test_one_name_deployed_twice_is_two_deployments(ledger):
    ledger.record(seen(replica()))  # and then nobody looked until it was deployed anew
    again = T0 + timedelta(days=30)
    ledger.record(seen(replica(launched_at=again), at=again + MINUTE, created_at=again))
    old, new = ledger.intervals("chat")
    assert old.deployment != new.deployment
    assert (old.ended_at, old.state) == (T0 + MINUTE, ReplicaState.TERMINATED)
    assert (new.launched_at, new.ended_at) == (again, None)


def test_a_backend_that_cannot_tell_when_it_created_a_service(ledger):
    ledger.record(seen(replica(), created_at=None))
    ledger.record(seen(replica(2, launched_at=T0 - MINUTE), at=T0 + 2 * MINUTE, created_at=None))
    assert len({interval.deployment for interval in ledger.intervals()}) == 1
    down = replica(state=ReplicaState.TERMINATED, ended_at=T0 + 3 * MINUTE)
    ledger.record(seen(down, at=T0 + 3 * MINUTE, created_at=None, state=ServiceState.SHUTTING_DOWN))
    ledger.record(seen(replica(launched_at=T0 + 9 * MINUTE), at=T0 + 9 * MINUTE, created_at=None))
    assert len({interval.deployment for interval in ledger.intervals()}) == 2


def test_services_and_backends_are_kept_apart(ledger):
    ledger.record(seen(replica()))
    ledger.record(seen(replica(), backend="local", created_at=T0))
    ledger.record(seen(replica(), name="other"))
    assert len(ledger.intervals()) == 3
    assert {interval.service for interval in ledger.intervals("other")} == {"other"}
    assert [interval.ended_at for interval in ledger.intervals()] == [None] * 3


def test_times_in_any_zone_are_one_time(ledger):
    from datetime import timezone

    elsewhere = T0.astimezone(timezone(timedelta(hours=5, minutes=30)))
    ledger.record(seen(replica(launched_at=elsewhere)))
    ledger.record(seen(replica(), at=T0 + 2 * MINUTE))
    (interval,) = ledger.intervals()
    assert interval.launched_at == T0


def test_prices_keep_every_digit(ledger):
    price = Decimal("0.12345678901234567890123")
    ledger.record(seen(replica(price_per_hour=price), replica(2, price_per_hour=None)))
    assert [interval.price_per_hour for interval in ledger.intervals()] == [price, None]


# --- the file ------------------------------------------------------------------------------


def test_it_is_still_there_when_opened_again(path):
    with Ledger(path) as ledger:
        ledger.record(seen(replica()))
    with Ledger(path) as ledger:
        assert len(ledger.intervals()) == 1
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        with pytest.raises(sqlite3.IntegrityError):  # STRICT
            database.execute("UPDATE replica SET replica_id = 'one'")
            database.execute("INSERT INTO deployment VALUES (1, 2, 'gcp', NULL, '', NULL)")
    database.close()


@pytest.mark.parametrize("content", [b"no database" * 99, b"SQLite format 3\0" + b"x" * 900])
def test_a_damaged_file_is_left_alone(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(BackendError) as error:
        Ledger(path)
    assert "cannot read the ledger" in error.value.message
    assert "\n" not in error.value.message
    assert "move it aside" in (error.value.hint or "")
    assert path.read_bytes() == content


def test_a_page_damaged_in_the_middle_is_noticed(path):
    with Ledger(path) as ledger:
        for n in range(200):
            ledger.record(seen(replica(n), name=f"service-{n}"))
    damaged = bytearray(path.read_bytes())
    damaged[8192:12288] = os.urandom(4096)
    path.write_bytes(damaged)
    with pytest.raises(BackendError, match="cannot read the ledger"), Ledger(path) as ledger:
        ledger.intervals()
    assert path.read_bytes() == damaged


def test_a_newer_ledger_is_left_alone(path):
    Ledger(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(BackendError, match="written by a newer llmbudget") as error:
        Ledger(path)
    assert error.value.hint == "pip install --upgrade llmbudget"


def test_another_programs_database_is_left_alone(path):
    path.parent.mkdir()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE cookies (value)")
    database.close()
    before = path.read_bytes()
    with pytest.raises(BackendError, match="some other program's database"):
        Ledger(path)
    assert path.read_bytes() == before


def test_a_folder_in_its_place(tmp_path):
    with pytest.raises(BackendError, match="cannot use the ledger"):
        Ledger(tmp_path)


WRITER = """
    import sys
    from datetime import timedelta
    from pathlib import Path
    from skyserve_llm.service.ledger import Ledger
    from tests.service.test_ledger import MINUTE, T0, replica, seen
    name, rounds = sys.argv[2], int(sys.argv[3])
    for n in range(rounds):
        with Ledger(Path(sys.argv[1])) as ledger:
            ledger.record(seen(replica(1), replica(2 + n), name=name, at=T0 + n * MINUTE))
"""


def writer(path: Path, name: str, rounds: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path), name, str(rounds)],
        cwd=Path(__file__).parents[2],
    )


def test_two_processes_write_at_once(path):
    """The file does not exist yet: making it is raced for, too."""
    writers = [writer(path, name, 60) for name in ("one", "two", "three")]
    assert [process.wait(60) for process in writers] == [0, 0, 0]
    with Ledger(path) as ledger:
        for name in ("one", "two", "three"):
            intervals = ledger.intervals(name)
            assert len(intervals) == 61
            assert sum(interval.ended_at is None for interval in intervals) == 2


def test_a_writer_that_is_killed_leaves_a_whole_ledger(path):
    Ledger(path).close()
    for name in ("one", "two", "three", "four", "five"):
        process = writer(path, name, 100_000)
        wait_for(lambda name=name: len(_intervals(path, name)) > 3)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        database = sqlite3.connect(path)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()
        # Every record is there whole: one replica that stays, and one that is new.
        running = [i for i in _intervals(path, name) if i.ended_at is None]
        assert len(running) == 2
        assert len({interval.last_seen for interval in running}) == 1


def _intervals(path: Path, name: str) -> list[ReplicaInterval]:
    with Ledger(path) as ledger:
        return ledger.intervals(name)
