"""What can go wrong is one clear line with a way out, never a traceback."""

import os
import site
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from skyserve_llm.errors import BackendError, InputError, NotReadyError, ServiceNotFoundError
from skyserve_llm.service.local import LocalBackend
from skyserve_llm.service.types import ReadinessProbe, ReplicaState, ServiceState
from tests.service.local.helpers import running, silent, spec, wait_for


def test_a_replica_that_always_crashes_is_given_up(bench):
    backend = bench.backend("--ready-after", "60", "--crash-after", "0.1")
    with pytest.raises(BackendError) as error:
        backend.deploy(spec(replicas=1), progress=silent, timeout_seconds=30)
    assert error.value.message == (
        "local service 'chat' failed: replica 3 exited with status 3: "
        "CUDA out of memory, or so; gave up after 3 starts"
    )
    (status,) = backend.status("chat")
    assert status.state is ServiceState.FAILED
    assert [replica.state for replica in status.replicas] == [ReplicaState.FAILED] * 3
    # Asked for again, it is tried again.
    assert backend.scale("chat", 1, progress=silent).replicas[-1].replica_id == 4
    backend.down("chat", progress=silent)


def test_a_replica_that_is_never_ready(bench):
    probe = ReadinessProbe(endpoint_probe_interval_seconds=0.2, initial_delay_seconds=2)
    backend = bench.backend("--ready-after", "600")
    with pytest.raises(BackendError, match=r"not ready within 2 s: HTTP 503"):
        backend.deploy(spec(replicas=1, readiness_probe=probe), progress=silent, timeout_seconds=60)
    backend.down("chat", progress=silent)


def test_a_replica_that_crashes_late_is_started_again_and_again(bench):
    backend = bench.start("--crash-after", "0.4", replicas=1)
    wait_for(lambda: len(bench.record().replicas) >= 4, 20)
    (status,) = backend.status("chat")
    assert status.state is not ServiceState.FAILED  # it had been READY each time
    assert len({replica.url for replica in status.replicas}) == 1
    backend.down("chat", progress=silent)


def test_not_ready_in_time_leaves_it_running(bench):
    backend = bench.backend("--ready-after", "600")
    with pytest.raises(NotReadyError, match=r"not ready within 0\.5 s; it keeps running") as error:
        backend.deploy(spec(), progress=silent, timeout_seconds=0.5)
    assert "llmbudget down chat" in (error.value.hint or "")
    assert backend.status("chat")[0].state is ServiceState.REPLICA_INIT
    pids = bench.processes()
    backend.down("chat", progress=silent)
    assert not any(map(running, pids))


def test_a_load_balancer_that_cannot_run(bench):
    backend = bench.backend()
    with pytest.raises(BackendError, match=r"the load balancer exited with status 1: .*no_such"):
        backend.deploy(spec(load_balancing_policy="no_such"), progress=silent, timeout_seconds=40)
    assert backend.status("chat")[0].state is ServiceState.CONTROLLER_FAILED
    backend.down("chat", progress=silent)


def test_a_supervisor_that_cannot_start(bench):
    """Something of an earlier service of the name still runs."""
    folder = bench.folder()
    folder.create()
    with folder.processes_lock.open("w") as held:
        import fcntl

        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BackendError, match=r"processes of an earlier service .* still run"):
            bench.backend().deploy(spec(), progress=silent, timeout_seconds=10)


@pytest.mark.parametrize("name", ["", "9lives", "a/b", "../up", "-x", "x-", "a" * 64])
def test_names(bench, name):
    with pytest.raises(InputError, match="cannot be the name of a service"):
        bench.backend().deploy(spec(name), progress=silent, timeout_seconds=1)
    assert bench.backend().status(name) == []
    assert bench.backend().down(name, progress=silent) is None


@pytest.mark.parametrize("replicas", [0, -1])
def test_a_service_of_no_replicas(bench, replicas):
    with pytest.raises(InputError, match="needs one replica at least"):
        bench.backend().deploy(spec(replicas=replicas), progress=silent, timeout_seconds=1)


def test_a_port_that_nobody_may_listen_on(bench):
    with pytest.raises(InputError, match="cannot listen on 127"):
        bench.backend(port=70000).deploy(spec(), progress=silent, timeout_seconds=1)
    assert bench.backend().status() == []


def test_a_folder_that_cannot_be_made(bench):
    bench.services.parent.mkdir(exist_ok=True)
    bench.services.write_text("a file is in the way")
    with pytest.raises(BackendError, match=r"cannot start 'chat' in .*Not a directory"):
        bench.backend().deploy(spec(), progress=silent, timeout_seconds=1)
    bench.services.unlink()


def test_unknown_services(bench):
    backend = bench.backend()
    assert backend.status() == backend.status("nosuch") == []
    assert backend.down("nosuch", progress=silent) is None
    assert not backend.has("nosuch")
    with pytest.raises(ServiceNotFoundError, match="no local service named 'nosuch'"):
        backend.logs("nosuch", replica_id=None, load_balancer=False, follow=False)
    with pytest.raises(ServiceNotFoundError):
        backend.scale("nosuch", 2, progress=silent)


def test_an_unknown_replica(bench):
    backend = bench.start(replicas=1)
    with pytest.raises(ServiceNotFoundError, match="no replica 9"):
        backend.logs("chat", replica_id=9, load_balancer=False, follow=False)
    assert backend.replica_pid("chat", 9) is None
    backend.down("chat", progress=silent)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "Invalid JSON"),
        (b'{"name": "chat", "model"', "Invalid JSON"),
        (b'{"name": "chat"}', "model: Field required"),
        (b"\xff\xfe", "Invalid JSON"),
    ],
)
def test_a_damaged_state_file(bench, content, complaint):
    folder = bench.folder()
    folder.create()
    (folder.path / "state.json").write_bytes(content)
    backend = bench.backend()
    with pytest.raises(BackendError) as error:
        backend.status("chat")
    assert "cannot read state.json" in error.value.message
    assert complaint in error.value.message
    assert "\n" not in error.value.message
    (status,) = backend.status()  # the list of all is not spoilt by one
    assert (status.state, status.reason) == (ServiceState.UNKNOWN, error.value.message)
    with pytest.raises(BackendError, match=r"cannot read state\.json"):
        backend.deploy(spec(), progress=silent, timeout_seconds=1)
    assert backend.has("chat")
    assert backend.down("chat", progress=silent) is not None
    assert not folder.path.exists()


def test_down_of_a_running_service_whose_state_file_is_damaged(bench):
    backend = bench.start()
    wait_for(lambda: len(bench.processes()) >= 6)
    pids = bench.processes()
    (bench.folder().path / "state.json").write_text("{")
    assert backend.down("chat", progress=silent) is not None
    assert not any(map(running, pids))


def test_the_same_folder_may_hold_what_is_not_ours(bench):
    (bench.services / "chat").mkdir(parents=True)
    (bench.services / "chat" / "service.yaml").write_text("name: chat")
    backend = bench.start(replicas=1)
    backend.down("chat", progress=silent)
    assert [path.name for path in (bench.services / "chat").iterdir()] == ["service.yaml"]
    assert backend.status() == []


def test_secrets_reach_the_replicas_and_no_file(bench, monkeypatch, tmp_path):
    monkeypatch.setenv("LLMBUDGET_API_KEY", "sk-very-secret")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    code = "import os; print(len(os.environ['LLMBUDGET_API_KEY'])); import time; time.sleep(600)"
    backend = LocalBackend(bench.services, command=lambda _: (sys.executable, "-S", "-c", code))
    told: list[str] = []
    with pytest.raises(NotReadyError):
        backend.deploy(
            spec(replicas=1, secrets=("LLMBUDGET_API_KEY", "HF_TOKEN")),
            progress=told.append,
            timeout_seconds=0.1,
        )
    assert told[0] == "HF_TOKEN is not set: the replicas run without it"
    log = bench.folder().replica_log(1)
    wait_for(lambda: log.exists() and log.read_text() == "14\n")
    load_balancer = wait_for(lambda: bench.record().load_balancer_pid)
    assert b"sk-very-secret" not in Path(f"/proc/{load_balancer}/environ").read_bytes()
    backend.scale("chat", 2, progress=silent)
    files = [path.read_bytes() for path in bench.folder().path.rglob("*") if path.is_file()]
    assert not any(b"sk-very-secret" in content for content in files)
    backend.down("chat", progress=silent)


def test_without_skypilot_it_says_what_to_install(tmp_path):
    """A real interpreter whose packages are all there but SkyPilot."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for package in Path(site.getsitepackages()[0]).iterdir():
        if not package.name.startswith(("sky", "_editable", "__editable")):
            (packages / package.name).symlink_to(package)
    script = """
        from pathlib import Path
        from skyserve_llm.errors import BackendError
        from skyserve_llm.service.local import LocalBackend
        from tests.service.local.helpers import spec, silent
        try:
            LocalBackend(Path("never-made")).deploy(spec(), progress=silent, timeout_seconds=1)
        except BackendError as error:
            print(error.hint)
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": f"{Path(__file__).parents[3]}{os.pathsep}{packages}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("pip install 'llmbudget[sky]'\n", "")
    assert not (tmp_path / "never-made").exists()
