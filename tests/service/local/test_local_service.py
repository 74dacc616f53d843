"""One service through its life: real processes, SkyServe's real load balancer, one deploy.

The tests run in order and share the service, whose terminal is closed before the first.
"""

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from skyserve_llm.errors import InputError
from skyserve_llm.service.local import LocalBackend, locks
from skyserve_llm.service.types import ReplicaState, ServiceState, ServiceStatus
from tests.service.local.helpers import (
    Bench,
    all_ready,
    ready_ids,
    running,
    silent,
    spec,
    wait_for,
)

SYNC_SECONDS = 20 + 5 + 3  # between two syncs of the load balancer, the longest hold, slack


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("home") / "services")
    yield bench
    bench.end_everything()


@pytest.fixture(scope="module")
def progress(bench: Bench) -> list[str]:
    """Deploys from a terminal of its own, which is closed once the service answers."""
    script = f"""
        from pathlib import Path
        from tests.service.local.helpers import Bench, spec
        backend = Bench(Path({str(bench.services)!r})).backend("--with-child")
        status = backend.deploy(
            spec(), progress=lambda line: print(line, flush=True), timeout_seconds=60
        )
        print("deployed", status.ready_replicas, flush=True)
        input()
    """
    terminal = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        cwd=Path(__file__).parents[3],
        text=True,
    )
    with terminal:
        assert terminal.stdout is not None
        lines = list(itertools.takewhile(lambda line: line != "deployed 2\n", terminal.stdout))
        assert terminal.poll() is None, lines
        os.killpg(terminal.pid, signal.SIGHUP)
        assert terminal.wait(60) == -signal.SIGHUP
    return lines


@pytest.fixture(scope="module")
def backend(bench: Bench, progress: list[str]) -> LocalBackend:
    return bench.backend()


@pytest.fixture
def client(backend: LocalBackend) -> Iterator[httpx.Client]:
    endpoint = the(backend).endpoint
    assert endpoint is not None
    with httpx.Client(base_url=endpoint, timeout=15) as client:
        yield client


def the(backend: LocalBackend) -> ServiceStatus:
    (status,) = backend.status("chat")
    return status


@contextlib.contextmanager
def steady_requests(client: httpx.Client) -> Iterator[list[str]]:
    """Requests one after another while the block runs; every one must be answered 200."""
    answers: list[str] = []
    failures: list[str] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            try:
                response = client.post("/v1/chat/completions", json={})
            except httpx.HTTPError as error:
                failures.append(repr(error))
                return
            if response.status_code != 200:
                failures.append(f"{response.status_code} {response.text}")
            answers.append(response.text)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        enough.set()
        thread.join()
    assert failures == []


def test_it_survives_the_terminal_that_started_it(backend):
    assert all_ready(the(backend), 2)  # see ``progress``


def test_deploy_tells_what_happens(backend, progress):
    assert any("replica 1 STARTING" in line for line in progress)
    assert any("replica 2 READY" in line for line in progress)
    assert progress[-1].endswith(f"{the(backend).endpoint} answers\n")


def test_the_load_balancer_alternates(client):
    answers = [client.get("/v1/models").text for _ in range(10)]
    assert set(answers) == {"1", "2"}
    assert all(one != next_one for one, next_one in itertools.pairwise(answers))


def test_status(backend):
    status = the(backend)
    assert (status.state, status.model, status.backend) == (
        ServiceState.READY,
        "acme/llama",
        "local",
    )
    assert [replica.infra for replica in status.replicas] == ["local", "local"]
    assert all(replica.ready_at >= replica.launched_at for replica in status.replicas)
    assert [status.name for status in backend.status()] == ["chat"]


def test_it_listens_on_loopback_only(bench):
    of_the_service = bench.processes()
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for pid in of_the_service
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and _owns(pid, line.split()[9])
    ]
    assert len(listening) >= 4  # the endpoint, the controller, two replicas
    assert {address.partition(":")[0] for address in listening} == {"0100007F"}


def _owns(pid: int, inode: str) -> bool:
    links = Path(f"/proc/{pid}/fd").iterdir()
    return any(str(link.readlink()) == f"socket:[{inode}]" for link in links)


def test_the_name_is_taken(bench, backend):
    with pytest.raises(InputError, match="'chat' is running") as error:
        bench.backend().deploy(spec(), progress=silent, timeout_seconds=5)
    assert "llmbudget down chat" in (error.value.hint or "")
    assert all_ready(the(backend), 2)


def test_the_port_is_taken(bench, client):
    with pytest.raises(InputError, match=f"port {client.base_url.port} .*in use"):
        bench.backend(port=client.base_url.port).deploy(
            spec("other"), progress=silent, timeout_seconds=5
        )
    assert not bench.folder("other").exists


def test_orders_want_the_token(bench):
    url = bench.folder().read_control().url
    assert bench.folder()._control.stat().st_mode & 0o077 == 0
    for headers in ({}, {"Authorization": "Bearer guess"}):
        for path in ("/scale", "/down", "/controller/load_balancer_sync"):
            assert httpx.post(url + path, json={"replicas": 9}, headers=headers).status_code == 404


def test_no_command_line_tells_where_the_controller_is(bench):
    _, _, port = bench.folder().read_control().url.rpartition(":")
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in bench.processes()]
    assert len(commands) >= 6
    assert not any(port.encode() in command for command in commands)


def test_no_key_reaches_a_log(bench, client):
    for key in ("sk-very-secret", "'sk-very-secret", "'\"sk-very-secret"):
        client.get("/v1/models", headers={"Authorization": f"Bearer {key}", "Api-Key": key})
    log = bench.folder().load_balancer_log
    # Logged twice a request at least; the last one has come when its answer has.
    wait_for(lambda: log.read_text().count("'authorization': '…'") >= 3)
    assert "very-secret" not in log.read_text()


def test_logs(backend):
    def lines(replica_id: int | None = None, load_balancer: bool = False) -> list[str]:
        return list(
            backend.logs("chat", replica_id=replica_id, load_balancer=load_balancer, follow=False)
        )

    assert any("replica 1 READY" in line for line in lines())
    assert lines(replica_id=1)[0].startswith("replica 1 listens on")
    assert any("Proxy request to http://127.0.0.1:" in line for line in lines(load_balancer=True))


def test_a_killed_replica_is_replaced_where_it_was(backend, client):
    victim = the(backend).replicas[0]
    pid = backend.replica_pid("chat", 1)
    with steady_requests(client) as answers:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: ready_ids(the(backend)) == [2, 3])
        wait_for(lambda: "3" in answers)
    dead, _, successor = the(backend).replicas
    assert (dead.state, dead.reason) == (ReplicaState.FAILED, "was killed by SIGKILL")
    assert dead.ended_at is not None
    assert successor.url == victim.url


def test_a_frozen_replica_is_replaced(backend, client):
    pid = backend.replica_pid("chat", 2)
    with steady_requests(client) as answers:
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: ready_ids(the(backend)) == [3, 4])
        wait_for(lambda: "4" in answers)
    frozen = the(backend).replicas[1]
    assert frozen.state is ReplicaState.FAILED_PROBING
    assert frozen.reason == "failed its probes for 0.9 s: no answer within 0.5 s"
    assert not running(pid)


def test_scale_up(bench, backend):
    status = backend.scale("chat", 3, progress=silent)
    assert (status.target_replicas, len(bench.alive())) == (3, 3)
    wait_for(lambda: all_ready(the(backend), 3))


def test_a_killed_load_balancer_is_replaced_by_one_that_knows_all_replicas(bench, client):
    old = bench.record().load_balancer_pid
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: bench.record().load_balancer_pid not in (old, None))
    # The endpoint's socket is the supervisor's: who connects now waits, and is answered.
    assert {client.get("/v1/models").text for _ in range(6)} == {"3", "4", "5"}


def test_scale_down_loses_no_request(bench, backend, client):
    with steady_requests(client):
        backend.scale("chat", 1, progress=silent)
        leaving = the(backend).replicas[-2:]
        assert {replica.state for replica in leaving} == {ReplicaState.SHUTTING_DOWN}
        wait_for(lambda: [r.status.replica_id for r in bench.alive()] == [3], SYNC_SECONDS)
    status = the(backend)
    assert all_ready(status, 1)
    assert [replica.reason for replica in status.replicas[-2:]] == ["scaled down"] * 2


def test_a_log_that_is_followed_ends_with_the_service(backend, bench):
    followed = backend.logs("chat", replica_id=None, load_balancer=False, follow=True)
    assert "replicas wanted" in next(followed)
    pids = bench.processes()
    status = backend.down("chat", progress=silent)
    assert "replica 3 TERMINATED: taken down" in list(followed)[-1]

    assert status is not None
    assert (status.target_replicas, status.state) == (0, ServiceState.SHUTTING_DOWN)
    assert all(replica.ended_at for replica in status.replicas)
    assert [pid for pid in pids if running(pid)] == []
    assert backend.status() == []
    assert not bench.folder().path.exists()


def test_down_again_is_no_error(backend):
    assert backend.down("chat", progress=silent) is None


def test_the_name_is_free_again(bench):
    bench.start()
    assert locks.is_held(bench.folder().supervisor_lock)
    assert bench.backend().down("chat", progress=silent) is not None
