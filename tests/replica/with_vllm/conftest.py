"""Real vLLM on this machine's CPU, in an environment of its own (`make test-vllm` makes it)."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
KEY = "sk-vllm-tests"
# A start takes half a minute on two quiet cores, and the cores are seldom quiet.
_START_S, _TEST_S = 300, 600
Start = Callable[..., Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.timeout(_TEST_S))


@dataclass(frozen=True)
class Checkpoints:
    """Folders of tiny models, prompts as tokens, and each model's greedy answers."""

    folder: Path
    expected: dict[str, Any]

    def path(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    """The Python of the environment that holds vLLM."""
    python = Path(os.environ.get("ENGINES_VENV", ROOT / ".venv-vllm")) / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no {python.parents[1].name}: `make test-vllm` makes it")
    return python


@pytest.fixture(scope="session")
def checkpoints(vllm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    folder = tmp_path_factory.mktemp("checkpoints")
    command = [vllm_python, HERE / "make_checkpoints.py", folder]
    made = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert made.returncode == 0, made.stderr
    return Checkpoints(folder, json.loads((folder / "expected.json").read_text()))


@pytest.fixture(scope="session")
def vllm_environment() -> dict[str, str]:
    """What vLLM needs to be told on a small machine without a network."""
    return {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "LLMBUDGET_API_KEY": KEY,
        "LLMBUDGET_PREEMPTION_WATCH": "off",
    }


@pytest.fixture(scope="module")
def start_vllm(
    checkpoints: Checkpoints,
    vllm_python: Path,
    vllm_environment: dict[str, str],
    start_shared: Start,
) -> Start:
    """Start a replica for the module: ``start_vllm(checkpoint, *flags, core=0, **variables)``."""

    def start(checkpoint: str, *flags: str, core: int | None = None, **variables: str) -> Any:
        env = {**vllm_environment, **variables}
        if core is not None:  # of two servers each needs its own
            cores = sorted(os.sched_getaffinity(0))
            env["VLLM_CPU_OMP_THREADS_BIND"] = str(cores[core % len(cores)])
        fixed = ("--served-model-name", "tiny", "--dtype", "float32", "--enforce-eager")
        return start_shared(
            *fixed,
            *("--max-model-len", "1024", *flags),
            served=(checkpoints.path(checkpoint), "--engine", "vllm"),
            python=vllm_python,
            env=env,
            within_s=_START_S,
        )

    return start


@pytest.fixture
def greedy_answers(checkpoints: Checkpoints) -> Callable[[Any], list[list[int]]]:
    """All prompts in one request, so that vLLM runs them together: their answers as tokens."""
    prompts = checkpoints.expected["prompts"]
    assert len({len(prompt) for prompt in prompts}) == len(prompts) > 4

    def ask(replica: Any) -> list[list[int]]:
        body = {
            "model": "tiny",
            "prompt": prompts,
            "temperature": 0,
            "max_tokens": 24,
            "ignore_eos": True,
            "return_token_ids": True,
        }
        with replica.client(KEY) as http:
            answered = http.post("/v1/completions", json=body)
        assert answered.status_code == 200, answered.text
        choices = sorted(answered.json()["choices"], key=lambda choice: choice["index"])
        return [choice["token_ids"] for choice in choices]

    return ask


@pytest.fixture
def stopped_process() -> Iterator[Callable[[int], None]]:
    """Stop processes for the length of a test: ``stopped_process(pid)``."""
    stopped: list[int] = []

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        stopped.append(pid)

    yield stop
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
