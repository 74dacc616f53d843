"""The process: its command line, its doors, its port and its end."""

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import skyserve_llm
from skyserve_llm.replica.launch import main

CHAT = "/v1/chat/completions"
ASK = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 3}
ENDLESS = {**ASK, "max_tokens": 8000, "ignore_eos": True, "stream": True}
Start = Callable[..., Any]
Run = Callable[..., subprocess.CompletedProcess[str]]

SIMULATED = ("org/model", "--engine", "simulated")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("org/model", "--engine", "vllm"), "vLLM is not installed here"),
        (("--engine", "vllm", "--dtype", "half", "org/model"), "the model comes first"),
        (("org/model", "--engine", "vllm", "--port", "0.5"), "'0.5' is not a port"),
        ((*SIMULATED, "--and", "b", "--engine", "vllm"), "vLLM serves one model in a process"),
        (("org/model", "--engine", "magic"), "--engine"),
        (("org/model",), "--engine"),
        (("--engine", "simulated"), "MODEL"),
        (("", "--engine", "simulated"), "MODEL"),
        ((*SIMULATED, "--port", "70000"), "'70000' is not a port"),
        ((*SIMULATED, "--ttft-ms", "-1"), "--ttft-ms"),
        ((*SIMULATED, "--tpot-ms", "nan"), "--tpot-ms"),
        ((*SIMULATED, "--max-num-seqs", "0"), "--max-num-seqs"),
        ((*SIMULATED, "--max-model-len", "many"), "--max-model-len"),
        ((*SIMULATED, "--keep-alive-s", "0"), "--keep-alive-s"),
        ((*SIMULATED, "--tensor-parallel-size", "2"), "unknown flags: --tensor-parallel-size"),
        ((*SIMULATED, "--host", "no.such.host.invalid"), "no.such.host.invalid"),
        ((*SIMULATED, "--host", "192.0.2.1"), "cannot listen on 192.0.2.1"),
        ((*SIMULATED, "--api-key-file", "/nowhere/keys"), "/nowhere/keys"),
    ],
)
def test_a_wrong_command_line_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    first, *rest = printed.err.splitlines()
    assert first.startswith("error: ")
    assert words in first
    assert rest == [] or (rest[0] == "" and rest[1].startswith("hint: "))


@pytest.mark.parametrize("flags", [("--api-key", "sk-secret"), ("--api-key=sk-secret",)])
def test_a_key_is_not_taken_from_the_command_line(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...]
) -> None:
    assert main((*SIMULATED, *flags)) == 2
    printed = capsys.readouterr().err
    assert "LLMBUDGET_API_KEY" in printed
    assert "sk-secret" not in printed


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LLMBUDGET_API_KEY", " , "),
        ("LLMBUDGET_KEEP_ALIVE_S", "soon"),
        ("LLMBUDGET_KEEP_ALIVE_S", "-1"),
    ],
)
def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(SIMULATED) == 2
    assert variable in capsys.readouterr().err


def test_an_empty_key_file_locks_nothing_so_it_is_an_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_text("# none yet\n\n")
    assert main((*SIMULATED, "--api-key-file", str(keys))) == 2
    assert "holds no key" in capsys.readouterr().err


def test_a_port_in_use(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(*SIMULATED, "--port", str(port))
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: port {port} on 127.0.0.1 is in use\n")


def test_the_help_names_every_flag(run: Run) -> None:
    ended = run("--engine", "simulated", "--help")
    assert ended.returncode == 0
    for flag in ("--host", "--port", "--served-model-name", "--api-key-file", "--ttft-ms"):
        assert flag in ended.stdout


def test_another_name_for_the_model(start: Start) -> None:
    replica = start("--served-model-name", "mine")
    with replica.client() as http:
        (card,) = http.get("/v1/models").json()["data"]
        assert (card["id"], card["root"]) == ("mine", "org/model")
        assert http.post(CHAT, json={**ASK, "model": "mine"}).json()["model"] == "mine"
        assert http.post(CHAT, json={**ASK, "model": "org/model"}).status_code == 404


def test_an_open_door_to_the_world_is_told(start: Start) -> None:
    replica = start("--host", "0.0.0.0")
    assert "no API key" in str(replica.events_of("warning"))


def test_sigterm_finishes_the_running_stream(start: Start) -> None:
    replica = start("--ttft-ms", "0", "--tpot-ms", "20", "--lame-duck-s", "0.5")
    body = {**ENDLESS, "max_tokens": 50}
    with replica.client() as http, http.stream("POST", CHAT, json=body) as stream:
        lines = stream.iter_lines()
        next(lines)
        replica.terminate()
        replica.wait_until(lambda: replica.health().status_code == 503)
        assert replica.health().json()["status"] == "draining"
        assert "draining" in replica.health().json()["reason"]
        rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]"
    assert replica.exit_code() == 0


def test_requests_are_served_while_it_is_a_lame_duck(start: Start) -> None:
    replica = start("--ttft-ms", "0", "--tpot-ms", "0", "--lame-duck-s", "0.4")
    with replica.client() as http:
        replica.terminate()
        replica.wait_until(lambda: replica.health().status_code == 503)
        assert http.post(CHAT, json=ASK).status_code == 200
    assert replica.exit_code() == 0


def test_the_time_to_drain_is_bounded(start: Start) -> None:
    replica = start("--ttft-ms", "0", "--tpot-ms", "20", "--drain-timeout-s", "0.2")
    with replica.client() as http, http.stream("POST", CHAT, json=ENDLESS) as stream:
        lines = stream.iter_lines()
        next(lines)
        replica.terminate()
        last = [line for line in lines if line][-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "replica_draining"
    assert replica.exit_code() == 0
    assert [event["outcome"] for event in replica.events_of("request")] == ["cut"]


def test_a_second_signal_ends_it_at_once(start: Start) -> None:
    replica = start("--ttft-ms", "0", "--tpot-ms", "20")
    with replica.client() as http, http.stream("POST", CHAT, json=ENDLESS) as stream:
        lines = stream.iter_lines()
        next(lines)
        replica.terminate()
        replica.wait_until(lambda: replica.events_of("drain"))
        replica.terminate()
        last = [line for line in lines if line][-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "replica_draining"
    assert replica.exit_code() == 0


def test_it_runs_as_the_only_folder_of_the_package(tmp_path: Path) -> None:
    package = Path(skyserve_llm.__file__).parent
    alone = tmp_path / "skyserve_llm"
    shutil.copytree(package / "replica", alone / "replica")
    shutil.copy(package / "__init__.py", alone)
    code = "import sys, skyserve_llm.replica.launch; print(*sys.modules, sep='\\n')"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = ended.stdout.split()
    ours = {name.split(".")[1] for name in loaded if name.startswith("skyserve_llm.")}
    assert ours == {"replica"}
    assert not {"httpx", "click.testing", "jinja2", "yaml", "sky", "rich", "torch"} & set(loaded)


def test_a_missing_library_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    broken = tmp_path / "fastapi.py"
    broken.write_text("raise ModuleNotFoundError(\"No module named 'fastapi'\", name='fastapi')")
    path = f"{tmp_path}:{Path(skyserve_llm.__file__).parents[1]}"
    ended = subprocess.run(
        [sys.executable, "-m", "skyserve_llm.replica", *SIMULATED],
        env={"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert re.match(r"error: the replica needs fastapi, .*\n\nhint: pip install ", ended.stderr)
