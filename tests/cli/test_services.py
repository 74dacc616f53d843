"""The commands after `plan`, on a service that runs here: one deployment, all of its life."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyserve_llm.cli import run

PHIXTRAL = "mlabonne/phixtral-4x2_8"
NAME = "cli-test"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("LLMBUDGET_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[str]:
    assert run(["plan", PHIXTRAL, "--cloud", "gcp"]) == 0
    assert run(["deploy", "--local", "--replicas", "2", "--name", NAME, "--timeout", "60"]) == 0
    yield NAME
    run(["down", "--all"])


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path))


def lines(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return captured.out, captured.err


def test_status_tells_what_runs(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "-o", "json"]) == 0
    (found,) = json.loads(lines(capsys)[0])["services"]
    assert (found["name"], found["state"], found["target_replicas"]) == (service, "READY", 2)
    assert run(["status"]) == 0
    table = lines(capsys)[0]
    assert "2/2" in table
    assert found["endpoint"] in table


def test_chat_streams_an_answer(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["chat", "Hello?", "--max-tokens", "12"]) == 0
    out, err = lines(capsys)
    assert "[simulated]" in out
    assert "answered by replica" in err


def test_chat_takes_any_openai_endpoint(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(["status", "-o", "json"])
    endpoint = json.loads(lines(capsys)[0])["services"][0]["endpoint"]
    assert run(["chat", "--endpoint", endpoint, "Hello?", "--max-tokens", "5"]) == 0
    assert "[simulated]" in lines(capsys)[0]


def test_cost_is_the_plans_price(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cost", "-o", "json"]) == 0
    report = json.loads(lines(capsys)[0])
    plan = json.loads((Path(_home()) / "plan.json").read_text(encoding="utf-8"))
    price = plan["candidates"][0]["price_per_hour"]
    running = [line for line in report["lines"] if line["state"] == "READY"]
    assert [line["price_per_hour"] for line in running] == [price, price]
    assert run(["cost"]) == 0
    assert "total" in lines(capsys)[0]


def test_logs_of_the_controller_a_replica_and_the_load_balancer(
    service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags, said in (
        ([], "READY"),
        (["--replica", "1"], "listening"),
        (["--load-balancer"], "Available Replica URLs"),
    ):
        assert run(["logs", service, *flags]) == 0
        assert said in lines(capsys)[0]


def test_scale_changes_the_target(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["scale", service, "--replicas", "1"]) == 0
    lines(capsys)
    run(["status", service, "-o", "json"])
    assert json.loads(lines(capsys)[0])["services"][0]["target_replicas"] == 1


def test_a_second_service_of_the_name_is_refused(
    service: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["deploy", "--local", "--name", service]) == 2
    assert service in lines(capsys)[1]


def test_a_port_in_use_is_refused(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert run(["deploy", "--local", "--name", "other", "--port", port]) == 2
    error = lines(capsys)[1]
    assert port in error
    assert "\nhint: " in error
    run(["status", "-o", "json"])
    assert [s["name"] for s in json.loads(lines(capsys)[0])["services"]] == [service]


def _home() -> str:
    import os

    return os.environ["LLMBUDGET_HOME"]


@pytest.mark.usefixtures("empty_home")
class TestBadInput:
    @pytest.mark.parametrize(
        ("args", "code", "said", "hint"),
        [
            (["deploy", "--local"], 2, "no plan was made yet", "llmbudget plan MODEL"),
            (["deploy"], 2, "no plan was made yet", "llmbudget plan MODEL"),
            (["render"], 2, "no plan was made yet", "llmbudget plan MODEL"),
            (["deploy", "--local", "--cloud", "gcp"], 2, "--cloud", "MODEL"),
            (["deploy", PHIXTRAL, "--port", "80"], 2, "--port goes with --local", "SkyServe"),
            (["deploy", PHIXTRAL, "--local", "--name", "a b"], 2, "a b", "letter"),
            (["deploy", PHIXTRAL, "--local", "--name", "../up"], 2, "../up", "letter"),
            (["deploy", PHIXTRAL, "--local", "--replicas", "0"], 2, "0", "--help"),
            (["deploy", PHIXTRAL], 2, "asks first", "-y"),
            (["render", PHIXTRAL, "--set", "nonsense"], 2, "--set", "disk_size"),
            (["render", PHIXTRAL, "--overrides", "nowhere.yaml"], 2, "nowhere.yaml", ""),
            (["render", PHIXTRAL, "-f", "/nowhere/at/all.yaml"], 2, "cannot write", ""),
            (["status", "nosuch"], 5, "nosuch", "status"),
            (["logs", "nosuch"], 5, "nosuch", ""),
            (["scale", "nosuch", "--replicas", "2"], 5, "nosuch", "status"),
            (["scale", "nosuch", "--replicas", "-2"], 2, "-2", "--help"),
            (["down", "nosuch"], 5, "nosuch", "status"),
            (["down"], 2, "--all", ""),
            (["chat", "hello"], 5, "no service is running", "deploy --local"),
            (["chat", "--endpoint", "http://127.0.0.1:9", "hello"], 5, "does not answer", "status"),
            (["cost", "nosuch"], 5, "nosuch", "cost"),
        ],
    )
    def test_is_one_clear_line_and_a_hint(
        self, capsys: pytest.CaptureFixture[str], args: list[str], code: int, said: str, hint: str
    ) -> None:
        assert run(args) == code
        error = lines(capsys)[1]
        last = error[error.index("error: ") :]
        line, _, rest = last.partition("\n\nhint: ")
        assert "\n" not in line.strip()
        assert said in line
        assert hint in rest

    def test_a_damaged_plan_is_one_clear_line(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        (tmp_path / "plan.json").write_text('{"model": 3', encoding="utf-8")
        assert run(["deploy", "--local"]) == 2
        assert "damaged" in lines(capsys)[1]

    def test_nothing_running_is_not_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["status"]) == 0
        assert run(["cost"]) == 0
        assert run(["status", "-o", "json"]) == 0
        assert json.loads(lines(capsys)[0]) == {"services": []}

    def test_a_dry_run_starts_nothing(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        assert run(["deploy", PHIXTRAL, "--cloud", "gcp", "--spot", "--dry-run"]) == 0
        out, err = lines(capsys)
        assert "round_robin" in out
        assert "1 x spot L4:1" in err
        assert not (tmp_path / "services").exists()
