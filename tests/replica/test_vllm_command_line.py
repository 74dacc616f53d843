"""What of a command line goes to vLLM, and what may not; vLLM itself is not needed here."""

import tomllib
from pathlib import Path

import pytest

from skyserve_llm.replica import models, options
from skyserve_llm.replica.engines import vllm
from skyserve_llm.replica.errors import StartError

START = ("org/model", "--engine", "vllm")


def test_what_is_not_the_gates_is_passed_on_as_it_stands() -> None:
    words = ["--served-model-name", "a", "b", "-tp", "2", "--max-model-len", "100", "-O3", "--x=y"]
    overrides = ["--hf-overrides", '{"a": [1, 2]}', "--enforce-eager"]
    arguments = options.parse(
        [*START, *words, "--port", "1", "--lame-duck-s", "3", *overrides, "--host", "::1"]
    )
    assert arguments.passed_on == [*words, *overrides]
    assert (arguments.port, arguments.host, arguments.lame_duck_s) == (1, "::1", 3.0)


def test_the_gate_is_the_last_middleware_and_the_address_is_ours() -> None:
    flags = ["--middleware", "their.Own", "--max-model-len", "100"]
    words = vllm.command_line("org/model", flags, host="127.0.0.1", port=8001)
    assert words[:3] == ["vllm", "serve", "org/model"]
    middleware = [words[i + 1] for i, word in enumerate(words) if word == "--middleware"]
    assert middleware == ["their.Own", vllm.MIDDLEWARE]
    assert words[words.index("--port") + 1] == "8001"


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--api-key", "sk-secret"], "--api-key"),
        (["--api-key=sk-secret"], "--api-key"),
        (["--api_key", "sk-secret"], "--api-key"),
        (["--api-k", "sk-secret"], "--api-key"),
        (["--uds", "/tmp/socket"], "--uds"),
        (["--dtype", "half", "--grpc"], "--grpc"),
        (["--headless"], "--headless"),
        (["-asc", "2"], "-asc"),
    ],
)
def test_no_flag_leads_round_the_gate(flags: list[str], named: str) -> None:
    with pytest.raises(StartError) as caught:
        vllm.check(flags, {})
    assert caught.value.message == f"{named} is not passed on to vLLM"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["VLLM_API_KEY", "VLLM_USE_RUST_FRONTEND"])
def test_no_variable_leads_round_the_gate(name: str) -> None:
    with pytest.raises(StartError, match=f"^error: {name} is set"):
        vllm.check([], {name: "1"})


def test_the_middleware_is_a_class_that_is_there() -> None:
    module, _, name = vllm.MIDDLEWARE.rpartition(".")
    assert isinstance(getattr(__import__(module, fromlist=[name]), name), type)


def test_a_wheel_announces_the_same_networks_as_a_folder() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["vllm.general_plugins"] == models.PLUGINS
