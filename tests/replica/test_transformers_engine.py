"""The transformers engine with real torch on the CPU: tiny models in a real replica.

It runs in the engines' environment, which `make test-vllm` makes; without that these tests are
skipped.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).parents[2]
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
Start = Callable[..., Any]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def engines_python() -> Path:
    """The Python of the environment that holds torch and transformers."""
    python = Path(os.environ.get("ENGINES_VENV", ROOT / ".venv-vllm")) / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no {python.parents[1].name}: `make test-vllm` makes it")
    return python


@dataclass
class Tiny:
    """Folders of tiny models, and what they answer."""

    folder: Path
    python: Path
    expected: dict[str, Any]

    def flags(self, name: str) -> tuple[str, ...]:
        return (str(self.folder / name), "--engine", "transformers", "--served-model-name", name)


@pytest.fixture(scope="session")
def tiny(engines_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    folder = tmp_path_factory.mktemp("models")
    script = Path(__file__).with_name("make_tiny_models.py")
    subprocess.run([engines_python, script, folder], check=True, capture_output=True, timeout=120)
    expected = json.loads((folder / "expected.json").read_text())
    return Tiny(folder, engines_python, expected)


@pytest.fixture(scope="module")
def llama(tiny: Tiny, start_shared: Start) -> Any:
    return start_shared(
        "--max-num-seqs", "4", served=tiny.flags("llama"), python=tiny.python, within_s=90
    )


@pytest.fixture
def http(llama: Any) -> Iterator[httpx.Client]:
    with llama.client() as client:
        yield client


def greedy(tiny: Tiny, **more: Any) -> dict[str, Any]:
    return {"prompt": tiny.expected["prompt"], "temperature": 0, "max_tokens": 24, **more}


def complete(http: httpx.Client, body: dict[str, Any], path: str = COMPLETIONS) -> dict[str, Any]:
    response = http.post(path, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def text_of(answer: dict[str, Any]) -> str:
    choice = answer["choices"][0]
    return str(choice["text"] if "text" in choice else choice["message"]["content"])


def events(http: httpx.Client, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    with http.stream("POST", path, json={**body, "stream": True}) as stream:
        assert stream.status_code == 200
        data = [line[6:] for line in stream.iter_lines() if line.startswith("data: ")]
    assert data.pop() == "[DONE]"
    return [json.loads(event) for event in data]


def test_greedy_tokens_are_a_plain_loops(tiny: Tiny, http: httpx.Client) -> None:
    answer = complete(http, greedy(tiny))
    assert text_of(answer) == tiny.expected["llama"]
    assert answer["choices"][0]["finish_reason"] == "length"
    prompt = tiny.expected["prompt_tokens"]
    assert answer["usage"] == {
        "prompt_tokens": prompt,
        "completion_tokens": 24,
        "total_tokens": prompt + 24,
    }


def test_a_stream_says_the_same_and_counts_the_same(tiny: Tiny, http: httpx.Client) -> None:
    body = greedy(tiny, stream_options={"include_usage": True})
    *chunks, usage = events(http, COMPLETIONS, body)
    texts = [chunk["choices"][0]["text"] for chunk in chunks]
    assert "".join(texts) == tiny.expected["llama"]
    assert len([text for text in texts if text]) > 6
    assert usage["usage"]["completion_tokens"] == 24


def test_chat_goes_through_the_template(tiny: Tiny, http: httpx.Client) -> None:
    messages = [{"role": "user", "content": "hello"}]
    rest = {"temperature": 0, "max_tokens": 8}
    answer = complete(http, {"messages": messages, **rest}, CHAT)
    written = "<|user|>hello</s><|assistant|>"
    plain = complete(http, {"prompt": written, **rest})
    assert text_of(answer) == text_of(plain)
    assert answer["usage"] == plain["usage"]

    begun = [*messages, {"role": "assistant", "content": "quick"}]
    more = {"continue_final_message": True, "add_generation_prompt": False}
    answer = complete(http, {"messages": begun, **more, **rest}, CHAT)
    plain = complete(http, {"prompt": f"{written}quick", **rest})
    assert text_of(answer) == text_of(plain)
    assert answer["usage"] == plain["usage"]


def test_what_the_template_refuses_is_the_clients_error(http: httpx.Client) -> None:
    response = http.post(CHAT, json={"messages": [{"role": "tool", "content": "42"}]})
    assert response.status_code == 400
    assert "no tools here" in response.json()["error"]["message"]


def test_a_seed_means_the_same_answer_whatever_else_runs(tiny: Tiny, llama: Any) -> None:
    body = greedy(tiny, temperature=1.0, max_tokens=40)

    async def ask_all(*seeds: int | None) -> list[str]:
        async with httpx.AsyncClient(base_url=llama.url, timeout=60, trust_env=False) as http:
            asked = [http.post(COMPLETIONS, json={**body, "seed": seed}) for seed in seeds]
            return [text_of(response.json()) for response in await asyncio.gather(*asked)]

    alone = asyncio.run(ask_all(5))
    together = asyncio.run(ask_all(5, 6, 5, -1, None, None))
    assert alone[0] == together[0] == together[2]
    assert len(set(together)) == 5


def test_temperature_and_top_p(tiny: Tiny, http: httpx.Client) -> None:
    wild = greedy(tiny, temperature=2.0, seed=1)
    assert text_of(complete(http, wild)) != tiny.expected["llama"]
    # The likeliest token alone reaches so small a top_p: greedy, whatever the temperature.
    narrow = {**wild, "top_p": 1e-6}
    assert text_of(complete(http, narrow)) == tiny.expected["llama"]


def test_stop_strings(tiny: Tiny, http: httpx.Client) -> None:
    text = tiny.expected["llama"]
    stop = text[10:12]
    answer = complete(http, greedy(tiny, stop=[stop, "never said"]))
    assert text_of(answer) == text[: text.index(stop)]
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["completion_tokens"] < 24


def test_prompts_that_do_not_fit_and_prompts_that_are_none(http: httpx.Client) -> None:
    response = http.post(COMPLETIONS, json={"prompt": "hello " * 300})
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "context_length_exceeded"
    response = http.post(COMPLETIONS, json={"prompt": ""})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "prompt"


def test_an_answer_may_fill_the_context_to_the_last_token(tiny: Tiny, http: httpx.Client) -> None:
    messages = [{"role": "user", "content": tiny.expected["prompt"]}]
    answer = complete(http, {"messages": messages, "temperature": 0, "ignore_eos": True}, CHAT)
    assert answer["usage"]["total_tokens"] == 256


def test_the_models_end_ends_the_answer(tiny: Tiny, start: Start) -> None:
    served = tiny.flags("llama-with-an-end")
    with start(served=served, python=tiny.python, within_s=90).client() as http:
        answer = complete(http, greedy(tiny))
        end = tiny.expected["end_at"]
        before = tiny.expected["llama_tokens"][end - 1]
        assert text_of(answer) == before
        assert answer["choices"][0]["finish_reason"] == "stop"
        # The end is a token too, as vLLM counts it.
        assert answer["usage"]["completion_tokens"] == end + 1
        on = complete(http, greedy(tiny, ignore_eos=True))
        assert text_of(on) == tiny.expected["llama"]


def test_no_chat_template_is_told_and_can_be_given(
    tiny: Tiny, start: Start, tmp_path: Path
) -> None:
    served = tiny.flags("llama-without-a-template")
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
    with start(served=served, python=tiny.python, within_s=90).client() as http:
        refused = http.post(CHAT, json=body)
        assert refused.status_code == 400
        assert "--chat-template" in refused.json()["error"]["message"]
    template = tmp_path / "template.jinja"
    template.write_text(tiny.expected["template"])
    flags = ("--chat-template", str(template))
    with start(*flags, served=served, python=tiny.python, within_s=90).client() as http:
        assert complete(http, body, CHAT)["usage"]["prompt_tokens"] > 1


def test_code_of_a_repository_runs_if_it_may_and_is_right(
    tiny: Tiny, start: Start, run: Run
) -> None:
    """Code older than the library: what it computes when it is made must not be lost."""
    served = tiny.flags("old")
    refused = run(*served, python=tiny.python, timeout=90)
    assert refused.returncode == 2
    first, _, hint = refused.stderr.strip().split("\n")
    assert "configuration_old.OldConfig" in first
    assert "--trust-remote-code" in hint

    replica = start("--trust-remote-code", served=served, python=tiny.python, within_s=90)
    with replica.client() as http:
        assert text_of(complete(http, greedy(tiny))) == tiny.expected["old"]


def test_a_client_that_leaves_stops_the_model_within_a_step(
    tiny: Tiny, start: Start, tmp_path: Path
) -> None:
    steps = tmp_path / "steps"
    replica = start(
        *("--trust-remote-code", "--max-num-seqs", "1"),
        served=tiny.flags("old"),
        python=tiny.python,
        within_s=90,
        env={"OLD_MODEL_STEPS": str(steps), "OLD_MODEL_STEP_S": "0.02"},
    )
    body = greedy(tiny, max_tokens=200, ignore_eos=True, stream=True)
    with replica.client() as http:
        with http.stream("POST", COMPLETIONS, json=body) as stream:
            next(stream.iter_lines())
        replica.wait_until(lambda: replica.events_of("request"))
        left = steps.stat().st_size
        # One place, and it is free: this is answered by one step, after the one under way.
        complete(http, greedy(tiny, max_tokens=1))
        assert steps.stat().st_size - left <= 2
    assert replica.events_of("request")[0]["outcome"] == "disconnected"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--quantization", "bitsandbytes-4bit"), "needs an NVIDIA GPU"),
        (("--max-model-len", "512"), "--max-model-len 512 is more than"),
        (("--chat-template", "/nowhere.jinja"), "/nowhere.jinja"),
        (("--quantization", "gptq"), "--quantization"),
    ],
)
def test_what_cannot_run_here_is_one_clear_line(
    tiny: Tiny, run: Run, flags: tuple[str, ...], words: str
) -> None:
    ended = run(*tiny.flags("llama"), *flags, python=tiny.python, timeout=90)
    assert ended.returncode == 2
    first, *rest = ended.stderr.splitlines()
    assert first.startswith("error: ")
    assert words in first
    assert rest == [] or (rest[0] == "" and rest[1].startswith("hint: "))


def test_a_folder_that_is_not_there(run: Run, engines_python: Path) -> None:
    ended = run("/no/model", "--engine", "transformers", python=engines_python, timeout=90)
    assert (ended.returncode, ended.stderr) == (2, "error: there is no folder /no/model\n")


def test_weights_that_cannot_be_read_end_the_replica(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny.folder / "llama", broken)
    (broken / "model.safetensors").write_bytes(b"nothing of the kind")
    flags = ("--engine", "transformers", "--port", "0")
    ended = run(str(broken), *flags, python=tiny.python, timeout=90)
    assert ended.returncode == 2
    assert f"error: cannot read the weights of {broken}: " in ended.stderr
    assert "Traceback" not in ended.stderr
