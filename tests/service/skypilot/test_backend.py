"""The order of things: what is asked of SkyPilot, when, and what is kept of it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyserve_llm.errors import BackendError, InputError, NotReadyError, ServiceNotFoundError
from skyserve_llm.service.backend import Backend
from skyserve_llm.service.skypilot.backend import SkyPilotBackend
from skyserve_llm.service.skypilot.store import ServiceFiles, deployed
from skyserve_llm.service.spec import service_spec
from skyserve_llm.service.types import ReplicaState, ServiceState
from tests.service.plans import plan
from tests.service.skypilot.fakes import FakeClock, FakeSkyPilot
from tests.service.skypilot.records import provisioning, replica, service

SPEC = service_spec(plan(), name="qwen", replicas=2)
KEYS = {"LLMBUDGET_API_KEY": "secret-key", "HF_TOKEN": "hf_token"}
FILES = ServiceFiles("qwen")

STARTING = [service("REPLICA_INIT", provisioning(1), provisioning(2))]
READY = [service("READY", replica(1), replica(2))]
UNKNOWN = BackendError("cannot tell what SkyPilot runs: network error")


def backend_of(
    sky: FakeSkyPilot,
    *,
    environ: Mapping[str, str] = KEYS,
    overrides: dict[str, Any] | None = None,
    is_answering: Callable[[str], bool] = lambda _: True,
    clock: FakeClock | None = None,
) -> SkyPilotBackend:
    return SkyPilotBackend(
        client=sky, environ=environ, overrides=overrides, is_answering=is_answering,
        clock=clock or FakeClock(),
    )  # fmt: skip


def deploy(
    backend: SkyPilotBackend, *, timeout: float = 1800, lines: list[str] | None = None
) -> Any:
    progress = (lines if lines is not None else []).append
    return backend.deploy(SPEC, progress=progress, timeout_seconds=timeout)


def quiet(_: str) -> None: ...


def folder() -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in FILES.folder.iterdir()}


def test_it_is_a_backend() -> None:
    backend: Backend = backend_of(FakeSkyPilot())
    assert backend.name == "skypilot"


# --- deploy --------------------------------------------------------------------------------


def test_deploying_asks_in_the_right_order_and_waits_until_it_answers() -> None:
    sky = FakeSkyPilot([], STARTING, READY)
    lines: list[str] = []

    status = deploy(backend_of(sky), lines=lines)

    assert sky.asked == ["available", "check", "status", "up qwen", "status", "status"]
    assert status.state is ServiceState.READY
    assert status.endpoint == "http://203.0.113.7:30001"
    assert [r.price_per_hour for r in status.replicas] == [Decimal("0.2194")] * 2
    assert lines[-3:] == [
        "REPLICA_INIT: replica 1 PROVISIONING, replica 2 PROVISIONING",
        "READY: replica 1 READY, replica 2 READY",
        "http://203.0.113.7:30001 answers",
    ]
    assert deployed() == ["qwen"]
    assert set(folder()) == {"service.yaml", "skypilot.json", "deploy.lock"}


def test_secrets_reach_skypilot_and_no_file() -> None:
    sky = FakeSkyPilot([], READY)
    deploy(backend_of(sky))

    (request,) = sky.requests
    assert request.secrets == {"HF_TOKEN": "hf_token", "LLMBUDGET_API_KEY": "secret-key"}
    assert request.config["secrets"] == {"HF_TOKEN": None, "LLMBUDGET_API_KEY": None}
    for text in folder().values():
        assert "secret-key" not in text
        assert "hf_token" not in text


def test_an_open_model_needs_no_hugging_face_token() -> None:
    sky = FakeSkyPilot([], READY)
    deploy(backend_of(sky, environ={"LLMBUDGET_API_KEY": "k"}))

    assert sky.requests[0].secrets == {"HF_TOKEN": "", "LLMBUDGET_API_KEY": "k"}


@pytest.mark.parametrize("environ", [{}, {"LLMBUDGET_API_KEY": " "}])
def test_without_an_api_key_nothing_is_started(environ: dict[str, str]) -> None:
    sky = FakeSkyPilot()
    with pytest.raises(InputError, match="LLMBUDGET_API_KEY is not set") as caught:
        deploy(backend_of(sky, environ=environ))
    assert caught.value.hint is not None
    assert "export LLMBUDGET_API_KEY=" in caught.value.hint
    assert sky.orders == []


def test_without_skypilot_that_is_what_is_said_first() -> None:
    missing = BackendError("SkyPilot cannot be imported", hint="pip install 'llmbudget[sky]'")
    with pytest.raises(BackendError, match="cannot be imported"):
        deploy(backend_of(FakeSkyPilot(fails={"available": missing}), environ={}))


def test_a_name_that_is_taken_is_left_alone() -> None:
    """``sky.serve.up`` under the name of a running service would end that service."""
    sky = FakeSkyPilot(READY)
    with pytest.raises(InputError, match="qwen is already running"):
        deploy(backend_of(sky))
    assert sky.orders == []


def test_what_cannot_be_asked_is_not_taken_for_free() -> None:
    sky = FakeSkyPilot(UNKNOWN)
    with pytest.raises(BackendError, match=r"cannot tell.*the YAML is in .*deploy\.yaml"):
        deploy(backend_of(sky))
    assert sky.orders == []


def test_a_failure_leaves_the_yaml_and_says_where() -> None:
    sky = FakeSkyPilot([], fails={"check": BackendError("no cloud", hint="`sky check`")})
    with pytest.raises(BackendError) as caught:
        deploy(backend_of(sky))

    path = FILES.folder / "deploy.yaml"
    assert caught.value.message == f"no cloud (the YAML is in {path})"
    assert caught.value.hint == "`sky check`"
    assert yaml.safe_load(path.read_text())["name"] == "qwen"
    assert deployed() == []


def test_what_skypilot_did_not_start_is_forgotten() -> None:
    sky = FakeSkyPilot([], [], fails={"up": BackendError("no quota")})
    with pytest.raises(BackendError, match=r"no quota .*deploy\.yaml"):
        deploy(backend_of(sky))
    assert deployed() == []


def test_what_skypilot_may_have_started_is_remembered() -> None:
    sky = FakeSkyPilot([], UNKNOWN, fails={"up": BackendError("connection lost")})
    with pytest.raises(BackendError, match=r"connection lost .*service\.yaml"):
        deploy(backend_of(sky))
    assert deployed() == ["qwen"]


def test_ready_is_not_answering() -> None:
    tries: list[str] = []

    def from_the_third_on(url: str) -> bool:
        tries.append(url)
        return len(tries) > 2

    deploy(backend_of(FakeSkyPilot([], READY), is_answering=from_the_third_on))

    assert tries == ["http://203.0.113.7:30001/v1/health"] * 3


def test_too_late_is_said_and_the_service_left_running() -> None:
    sky, clock = FakeSkyPilot([], STARTING), FakeClock()
    with pytest.raises(NotReadyError, match="left running") as caught:
        deploy(backend_of(sky, clock=clock), timeout=120)
    assert caught.value.exit_code == 6
    assert 120 <= clock.seconds < 130
    assert sky.orders == ["up qwen"]
    assert deployed() == ["qwen"]


def test_ready_that_never_answers_is_too_late_as_well() -> None:
    clock = FakeClock()
    with pytest.raises(NotReadyError):
        deploy(
            backend_of(FakeSkyPilot([], READY), is_answering=lambda _: False, clock=clock),
            timeout=60,
        )
    assert clock.seconds < 80


def test_a_look_that_fails_is_not_the_end() -> None:
    lines: list[str] = []
    status = deploy(backend_of(FakeSkyPilot([], STARTING, UNKNOWN, UNKNOWN, READY)), lines=lines)

    assert status.state is ServiceState.READY
    assert [line for line in lines if line.startswith("cannot tell")] == [
        "cannot tell: cannot tell what SkyPilot runs: network error"
    ]


def test_replicas_that_all_failed_are_not_waited_for() -> None:
    failed = [service("FAILED", replica(1, "FAILED"), replica(2, "FAILED_PROVISION"))]
    with pytest.raises(BackendError, match="replica 1 FAILED") as caught:
        deploy(backend_of(FakeSkyPilot([], failed)))
    assert caught.value.hint is not None
    assert "llmbudget logs qwen --replica 2" in caught.value.hint


def test_a_failed_replica_beside_one_that_starts_is_no_failure() -> None:
    replaced = [service("FAILED", replica(1, "FAILED"), provisioning(2))]
    gap = [service("FAILED", replica(1, "FAILED"))]
    assert deploy(backend_of(FakeSkyPilot([], replaced, gap, replaced, READY))) is not None


def test_a_failed_controller_is_a_failure_at_once() -> None:
    with pytest.raises(BackendError, match="CONTROLLER_FAILED"):
        deploy(backend_of(FakeSkyPilot([], [service("CONTROLLER_FAILED")])))


def test_somebody_else_may_end_it_meanwhile() -> None:
    with pytest.raises(BackendError, match="is gone"):
        deploy(backend_of(FakeSkyPilot([], STARTING, [])))


def test_overrides_reach_skypilot_and_other_machines_lose_the_price() -> None:
    sky = FakeSkyPilot([], READY)
    changed = {"resources": {"instance_type": "g2-standard-8"}, "service": {"replicas": 1}}
    status = deploy(backend_of(sky, overrides=changed))

    assert sky.requests[0].config["resources"]["instance_type"] == "g2-standard-8"
    assert [r.price_per_hour for r in status.replicas] == [None, None]


def test_two_at_once_are_kept_apart() -> None:
    sky = FakeSkyPilot([], READY)
    with FILES.locked(), pytest.raises(InputError, match="another llmbudget is changing"):
        deploy(backend_of(sky))
    assert sky.orders == []
    deploy(backend_of(sky))


# --- status, logs --------------------------------------------------------------------------


def test_status_adds_what_was_saved_at_deploy() -> None:
    deploy(backend_of(FakeSkyPilot([], READY)))
    other = service("READY", replica(1), name="other")

    found = backend_of(FakeSkyPilot([READY[0], other])).status()

    assert [status.model for status in found] == ["Qwen/Qwen2.5-7B-Instruct", None]
    assert found[0].created_at == datetime(2026, 11, 23, tzinfo=UTC)
    assert found[0].replicas[0].price_per_hour == Decimal("0.2194")
    assert found[1].replicas[0].price_per_hour is None


def test_an_unknown_name_is_an_empty_list() -> None:
    sky = FakeSkyPilot([])
    assert backend_of(sky).status("nosuch") == []
    assert backend_of(sky).status("no such*") == []
    assert sky.asked == ["status"]


def test_status_that_cannot_be_had_is_an_error_and_not_an_empty_list() -> None:
    with pytest.raises(BackendError, match="cannot tell"):
        backend_of(FakeSkyPilot(UNKNOWN)).status()


def test_a_damaged_file_is_named() -> None:
    deploy(backend_of(FakeSkyPilot([], READY)))
    path = FILES.folder / "skypilot.json"
    path.write_text("{}")
    with pytest.raises(BackendError, match=r"skypilot\.json"):
        backend_of(FakeSkyPilot(READY)).status("qwen")


@pytest.mark.parametrize(
    ("replica_id", "load_balancer", "asked"),
    [
        (None, False, "tail qwen controller None True"),
        (2, False, "tail qwen replica 2 True"),
        (None, True, "tail qwen load_balancer None True"),
    ],
)
def test_logs_of_each_part(replica_id: int | None, load_balancer: bool, asked: str) -> None:
    sky = FakeSkyPilot(READY)
    sky.log_lines = ["one", "two"]

    lines = backend_of(sky).logs(
        "qwen", replica_id=replica_id, load_balancer=load_balancer, follow=True
    )

    assert list(lines) == ["one", "two"]
    assert sky.orders == [asked]


def test_logs_of_what_is_not_there() -> None:
    with pytest.raises(ServiceNotFoundError, match="no service named nosuch"):
        backend_of(FakeSkyPilot([])).logs(
            "nosuch", replica_id=None, load_balancer=False, follow=False
        )
    with pytest.raises(ServiceNotFoundError, match="no replica 9"):
        backend_of(FakeSkyPilot(READY)).logs(
            "qwen", replica_id=9, load_balancer=False, follow=False
        )


def test_an_error_in_the_log_comes_out_where_the_lines_are_read() -> None:
    sky = FakeSkyPilot(READY, fails={"tail": BackendError("connection lost")})
    lines = backend_of(sky).logs("qwen", replica_id=None, load_balancer=False, follow=False)
    with pytest.raises(BackendError, match="connection lost"):
        next(lines)


# --- scale, update -------------------------------------------------------------------------


def test_scaling_changes_the_number_and_nothing_else() -> None:
    deploy(backend_of(FakeSkyPilot([], READY), overrides={"resources": {"disk_size": 333}}))
    before = yaml.safe_load(FILES.running.read_text())
    sky = FakeSkyPilot(READY)

    backend_of(sky).scale("qwen", 5, progress=quiet)

    assert sky.orders == ["update qwen"]
    (request,) = sky.requests
    assert request.secrets["LLMBUDGET_API_KEY"] == "secret-key"
    before["service"]["replica_policy"]["min_replicas"] = 5
    assert request.config == before
    assert yaml.safe_load(FILES.running.read_text()) == before
    assert "# Open to the internet" in FILES.running.read_text()
    saved = json.loads((FILES.folder / "skypilot.json").read_text())
    assert saved["spec"]["replicas"] == 5
    assert saved["created_at"] == "2026-11-23T00:00:00Z"


def test_what_was_not_deployed_from_here_cannot_be_scaled_from_here() -> None:
    with pytest.raises(InputError, match="not deployed from here"):
        backend_of(FakeSkyPilot(READY)).scale("qwen", 2, progress=quiet)
    with pytest.raises(ServiceNotFoundError):
        backend_of(FakeSkyPilot([])).scale("qwen", 2, progress=quiet)
    with pytest.raises(InputError, match="one replica at least"):
        backend_of(FakeSkyPilot(READY)).scale("qwen", 0, progress=quiet)


def test_a_failed_scale_leaves_what_runs_as_it_was() -> None:
    deploy(backend_of(FakeSkyPilot([], READY)))
    running = FILES.running.read_text()
    sky = FakeSkyPilot(READY, fails={"update": BackendError("refused")})

    with pytest.raises(BackendError, match=r"refused .*deploy\.yaml"):
        backend_of(sky).scale("qwen", 5, progress=quiet)

    assert FILES.running.read_text() == running
    assert FILES.load() is not None


def test_updating_sends_the_new_spec() -> None:
    deploy(backend_of(FakeSkyPilot([], READY)))
    sky = FakeSkyPilot(READY)
    new = replace(SPEC, revision="other", price_per_hour=Decimal("0.5"))

    status = backend_of(sky).update(new, progress=quiet, blue_green=True)

    assert sky.orders == ["update qwen blue-green"]
    assert "--revision other" in sky.requests[0].config["run"]
    assert status.replicas[0].price_per_hour == Decimal("0.5")


def test_updating_what_does_not_run() -> None:
    with pytest.raises(ServiceNotFoundError):
        backend_of(FakeSkyPilot([])).update(SPEC, progress=quiet)


# --- down ----------------------------------------------------------------------------------


def test_down_waits_until_it_is_gone() -> None:
    deploy(backend_of(FakeSkyPilot([], READY)))
    ending = [service("SHUTTING_DOWN", replica(1, "SHUTTING_DOWN"), replica(2, "SHUTTING_DOWN"))]
    sky, clock = FakeSkyPilot(READY, ending, UNKNOWN, ending, []), FakeClock()

    status = backend_of(sky, clock=clock).down("qwen", progress=quiet)

    assert sky.orders == ["down qwen"]
    assert status is not None
    assert [r.state for r in status.replicas] == [ReplicaState.TERMINATED] * 2
    assert {r.ended_at for r in status.replicas} == {clock.now()}
    assert status.created_at == datetime(2026, 11, 23, tzinfo=UTC)
    assert deployed() == []
    assert set(folder()) == {"deploy.yaml", "deploy.lock"}


@pytest.mark.parametrize("name", ["nosuch", "*", "../x", ""])
def test_down_of_an_unknown_name_asks_for_nothing(name: str) -> None:
    sky = FakeSkyPilot([])
    assert backend_of(sky).down(name, progress=quiet) is None
    assert sky.orders == []


def test_down_forgets_what_somebody_else_ended() -> None:
    deploy(backend_of(FakeSkyPilot([], READY)))
    assert backend_of(FakeSkyPilot([])).down("qwen", progress=quiet) is None
    assert deployed() == []


def test_down_that_cannot_ask_does_not_say_gone() -> None:
    deploy(backend_of(FakeSkyPilot([], READY)))
    with pytest.raises(BackendError, match="cannot tell"):
        backend_of(FakeSkyPilot(UNKNOWN)).down("qwen", progress=quiet)
    assert deployed() == ["qwen"]


def test_a_clean_up_that_fails_for_seconds_is_waited_for() -> None:
    failing = [service("FAILED_CLEANUP", replica(1, "FAILED_CLEANUP"))]
    sky = FakeSkyPilot(READY, failing, failing, [])
    assert backend_of(sky).down("qwen", progress=quiet) is not None


def test_a_clean_up_that_failed_names_what_to_do() -> None:
    failing = [service("FAILED_CLEANUP", replica(1, "FAILED_CLEANUP"))]
    clock = FakeClock()
    with pytest.raises(BackendError, match="machines may still run") as caught:
        backend_of(FakeSkyPilot(READY, failing), clock=clock).down("qwen", progress=quiet)
    assert caught.value.hint is not None
    assert "sky serve down --purge qwen" in caught.value.hint
    assert clock.seconds < 90


def test_a_controller_that_is_dead_cannot_end_anything() -> None:
    sky = FakeSkyPilot([service("CONTROLLER_FAILED", replica(1))])
    with pytest.raises(BackendError, match="machines may still run"):
        backend_of(sky).down("qwen", progress=quiet)
    assert sky.orders == []


def test_down_does_not_wait_for_ever() -> None:
    ending = [service("SHUTTING_DOWN", replica(1, "SHUTTING_DOWN"))]
    clock = FakeClock()
    with pytest.raises(BackendError, match="is still there"):
        backend_of(FakeSkyPilot(ending), clock=clock).down("qwen", progress=quiet)
    assert clock.seconds < 2000


def test_nothing_is_written_outside_of_the_services_folder(tmp_path: Path) -> None:
    deploy(backend_of(FakeSkyPilot([], READY)))
    assert [path.name for path in (tmp_path / "llmbudget").iterdir()] == ["services"]
