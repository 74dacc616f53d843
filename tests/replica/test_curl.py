"""``curl -N -L``: the client that everybody has, with nothing between it and the wire."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

KEY = "sk-curl"
CHAT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 40, "ignore_eos": True}
Start = Callable[..., Any]

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module")
def replica(start_shared: Start) -> Any:
    flags = ("--ttft-ms", "0", "--tpot-ms", "25")
    return start_shared(*flags, env={"LLMBUDGET_API_KEY": KEY})


def command(replica: Any, path: str, *more: str, key: str = KEY) -> list[str]:
    name = ("-H", f"Authorization: Bearer {key}")
    return ["curl", "-sS", "-N", "-L", "--noproxy", "*", *name, *more, f"{replica.url}{path}"]


def run(words: list[str]) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout


def test_a_stream_arrives_while_it_is_made(replica: Any) -> None:
    body = json.dumps({**BODY, "stream": True, "stream_options": {"include_usage": True}})
    with subprocess.Popen(
        command(replica, CHAT, "-d", body), stdout=subprocess.PIPE, text=True
    ) as curl:
        assert curl.stdout is not None
        first = curl.stdout.readline()
        assert curl.poll() is None, "the first event came with the last"
        rest = curl.stdout.read().splitlines()
    assert curl.returncode == 0
    events = [line.removeprefix("data: ") for line in [first.strip(), *rest] if line.strip()]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    assert chunks[-1]["usage"]["completion_tokens"] == 40
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
    assert text.startswith("[simulated]")


def test_a_body_from_a_file_with_no_content_type_and_all_at_once(
    replica: Any, tmp_path: Path
) -> None:
    file = tmp_path / "body.json"
    file.write_text(json.dumps({**BODY, "max_tokens": 3}))
    for more in (("-d", f"@{file}"), ("-H", "Content-Type:", "--data-binary", f"@{file}")):
        answer = json.loads(run(command(replica, CHAT, *more)))
        assert answer["usage"]["completion_tokens"] == 3


def test_errors_come_with_their_status(replica: Any, tmp_path: Path) -> None:
    status = ("-o", str(tmp_path / "answer"), "-w", "%{http_code}")
    assert run(command(replica, CHAT, "-d", "{", *status)) == "400"
    assert run(command(replica, "/v1/models/other", *status)) == "404"
    assert run(command(replica, "/v1/models", *status, key="sk-wrong")) == "401"
    assert json.loads((tmp_path / "answer").read_text())["error"]["code"] == "invalid_api_key"
    assert run(command(replica, "/v1/models", *status)) == "200"
