"""Whatever is killed, nothing is left running and nothing untrue is said."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from skyserve_llm.errors import BackendError, InputError
from skyserve_llm.service.local import locks
from skyserve_llm.service.types import ReplicaState, ServiceState
from tests.service.local.helpers import (
    Bench,
    ready_ids,
    running,
    silent,
    spec,
    wait_for,
)


def test_a_killed_supervisor_leaves_nothing(bench):
    backend = bench.start("--stubborn", "--with-child")
    wait_for(lambda: ready_ids(backend.status("chat")[0]) == [1, 2])
    pids = bench.processes() - {bench.supervisor()}
    assert len(pids) >= 6  # two replicas, their children, the load balancer, three guards

    os.kill(bench.supervisor(), signal.SIGKILL)
    wait_for(lambda: not locks.is_held(bench.folder().supervisor_lock))
    (status,) = backend.status("chat")  # at once, while the guards are still at work
    assert status.state is ServiceState.FAILED
    assert "the supervisor died at" in (status.reason or "")
    assert status.ready_replicas == 0

    wait_for(lambda: not any(map(running, pids)), 5)
    (status,) = backend.status("chat")
    assert {replica.state for replica in status.replicas} == {ReplicaState.FAILED}
    assert all(replica.ended_at and replica.reason == status.reason for replica in status.replicas)
    assert backend.status("chat")[0].replicas == status.replicas  # it died once, not on every look

    with pytest.raises(BackendError, match="its supervisor died"):
        backend.scale("chat", 1, progress=silent)
    with pytest.raises(InputError, match="was not cleared away") as error:
        backend.deploy(spec(), progress=silent, timeout_seconds=1)
    assert error.value.hint == "`llmbudget down chat`"

    last = backend.down("chat", progress=silent)
    assert last is not None
    assert last.replicas == status.replicas
    assert backend.status() == []
    bench.start()
    wait_for(lambda: ready_ids(backend.status("chat")[0]) == [1, 2])


def test_down_right_after_the_supervisor_was_killed_waits_for_the_last_process(bench):
    backend = bench.start("--stubborn")
    wait_for(lambda: ready_ids(backend.status("chat")[0]) == [1, 2])
    pids = bench.processes()
    os.kill(bench.supervisor(), signal.SIGKILL)
    assert backend.down("chat", progress=silent) is not None
    assert not any(map(running, pids))


def test_down_ends_a_frozen_supervisor(bench, monkeypatch):
    monkeypatch.setattr("skyserve_llm.service.local.orders._DOWN_SECONDS", 1.0)
    backend = bench.start()
    wait_for(lambda: ready_ids(backend.status("chat")[0]) == [1, 2])
    pids = bench.processes()
    os.kill(bench.supervisor(), signal.SIGSTOP)
    told: list[str] = []
    assert backend.down("chat", progress=told.append) is not None
    assert any("does not answer, killing it" in line for line in told)
    assert not any(map(running, pids))


def test_down_ends_what_outlived_supervisor_and_guards(bench, monkeypatch):
    monkeypatch.setattr("skyserve_llm.service.local.aftermath._GUARDS_SECONDS", 0.5)
    backend = bench.start(replicas=1)
    wait_for(lambda: ready_ids(backend.status("chat")[0]) == [1])
    replica = backend.replica_pid("chat", 1)
    assert replica is not None
    os.kill(bench.supervisor(), signal.SIGSTOP)  # it would end the orphan itself
    for pid in bench.processes() - {bench.supervisor(), replica}:
        os.kill(pid, signal.SIGKILL)
    os.kill(bench.supervisor(), signal.SIGKILL)
    wait_for(lambda: not locks.is_held(bench.folder().supervisor_lock))
    (status,) = backend.status("chat")
    assert [r.state for r in status.replicas] == [ReplicaState.SHUTTING_DOWN]
    assert running(replica)

    assert backend.down("chat", progress=silent) is not None
    assert not running(replica)


def test_a_killed_guard_takes_its_replica_with_it(bench):
    backend = bench.start(replicas=1)
    wait_for(lambda: ready_ids(backend.status("chat")[0]) == [1])
    replica = backend.replica_pid("chat", 1)
    assert replica is not None
    os.kill(int(Path(f"/proc/{replica}/stat").read_text().split()[3]), signal.SIGKILL)
    wait_for(lambda: ready_ids(backend.status("chat")[0]) == [2])
    assert not running(replica)


def test_a_supervisor_that_is_asked_to_end_says_so(bench):
    backend = bench.start(replicas=1)
    wait_for(lambda: ready_ids(backend.status("chat")[0]) == [1])
    pids = bench.processes()
    os.kill(bench.supervisor(), signal.SIGTERM)
    wait_for(lambda: not any(map(running, pids)), 5)
    (status,) = backend.status("chat")
    assert "ended by SIGTERM" in (status.reason or "")
    assert [replica.state for replica in status.replicas] == [ReplicaState.TERMINATED]


def test_a_removed_folder_ends_the_service(bench):
    bench.start()
    wait_for(lambda: len(bench.processes()) >= 6)
    pids = bench.processes()
    shutil.rmtree(bench.folder().path)
    wait_for(lambda: not any(map(running, pids)))


@pytest.fixture(autouse=True)
def _every_process_is_ended(bench: Bench):
    yield
    for folder in bench.services.iterdir() if bench.services.exists() else ():
        bench.backend().down(folder.name, progress=silent)
