"""The ``llm`` command line against a real replica: as it is, and with NOS's own plugin.

llm-nosrun never asks which models there are: it knows fixed names, sends one, and takes the
base URL from an environment variable. So a replica must answer to the exact name, or say
clearly that it does not.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

KEY = "sk-llm"
PHIXTRAL = "mlabonne/phixtral-4x2_8"
Start = Callable[..., Any]
Llm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def replica(start_shared: Start) -> Any:
    flags = ("--engine", "simulated", "--ttft-ms", "0", "--tpot-ms", "0")
    return start_shared(
        *("--served-model-name", PHIXTRAL),
        served=("org/any-weights", *flags),
        env={"LLMBUDGET_API_KEY": KEY},
    )


@pytest.fixture
def llm(replica: Any, tmp_path: Path) -> Llm:
    """Run ``llm`` with a configuration of its own; ``env`` adds to its environment."""
    models = [
        {
            "model_id": "mine",
            "model_name": PHIXTRAL,
            "api_base": f"{replica.url}/v1",
            "api_key_name": "llmbudget",
        },
        {
            "model_id": "mine-completing",
            "model_name": PHIXTRAL,
            "api_base": f"{replica.url}/v1",
            "api_key_name": "llmbudget",
            "completion": True,
        },
    ]
    (tmp_path / "extra-openai-models.yaml").write_text(yaml.safe_dump(models))
    # What `llm keys set` writes. llm-nosrun's own variable is only half read by a newer llm.
    (tmp_path / "keys.json").write_text(json.dumps({"llmbudget": KEY, "nosrun": KEY}))

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LLM_", "OPENAI_", "NOSRUN_"))
        }
        return subprocess.run(
            [sys.executable, "-m", "llm", *arguments],
            env={**inherited, "LLM_USER_PATH": str(tmp_path), "NO_PROXY": "127.0.0.1", **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_an_extra_openai_model_streamed_and_not(llm: Llm) -> None:
    streamed = llm("-m", "mine", "Why?", "--usage")
    assert streamed.returncode == 0, streamed.stderr
    assert streamed.stdout.startswith("[simulated]")
    whole = llm("-m", "mine", "Why?", "--usage", "--no-stream")
    assert whole.stdout == streamed.stdout
    # "Token usage: 3 input, 96 output", and the same whichever way it came.
    assert " input, " in streamed.stderr
    assert streamed.stderr == whole.stderr


def test_a_conversation_goes_on_and_options_reach_the_engine(llm: Llm) -> None:
    assert llm("-m", "mine", "Why?", "-o", "temperature", "0").returncode == 0
    more = llm("-c", "And then?", "-o", "max_tokens", "5")
    assert more.returncode == 0, more.stderr
    first, second = json.loads(llm("logs", "list", "--json").stdout)
    assert second["output_tokens"] == 5
    # The second question carries the first one's answer.
    assert second["input_tokens"] > first["input_tokens"] + first["output_tokens"]


def test_a_completion_model(llm: Llm) -> None:
    answer = llm("-m", "mine-completing", "It costs")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("[simulated]")


def test_a_wrong_key_is_told(llm: Llm) -> None:
    refused = llm("-m", "mine", "Why?", "--key", "sk-wrong")
    assert refused.returncode == 1
    assert "not one of this service" in refused.stderr


def test_noss_own_plugin(replica: Any, llm: Llm) -> None:
    nosrun = {"NOSRUN_API_BASE": f"{replica.url}/v1"}
    streamed = llm("-m", PHIXTRAL, "Names for a walrus", "-s", "Be brave", "--usage", **nosrun)
    assert streamed.returncode == 0, streamed.stderr
    assert streamed.stdout.startswith("[simulated]")
    assert " output" in streamed.stderr
    # Another name that it knows, and this replica does not serve.
    other = llm("-m", "HuggingFaceH4/zephyr-7b-beta", "Why?", **nosrun)
    assert other.returncode == 1
    assert f"'HuggingFaceH4/zephyr-7b-beta' does not exist here; '{PHIXTRAL}'" in other.stderr
