"""`llmbudget models`: what is bundled, in this process and through the program's own door."""

import json
from pathlib import Path
from typing import Any

import pytest

from skyserve_llm.cli import run
from skyserve_llm.sources.gpus import load_gpus


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "home"))


def models(capsys: pytest.CaptureFixture[str], *args: str) -> list[dict[str, Any]]:
    assert run(["models", *args, "-o", "json"]) == 0
    listed: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return listed


def test_all_are_listed_with_what_a_choice_needs(capsys: pytest.CaptureFixture[str]) -> None:
    listed = models(capsys)
    assert len(listed) == 75
    cards = {*load_gpus(), None}
    for model in listed:
        assert 0 < model["active_parameters"] <= model["parameters"]
        assert model["engine"] in ("vllm", "transformers")
        assert model["smallest_gpu"] in cards
        assert model["engine_reason"]


def test_every_word_of_a_query_must_match(capsys: pytest.CaptureFixture[str]) -> None:
    assert [m["id"] for m in models(capsys, "PHIXTRAL")] == ["mlabonne/phixtral-4x2_8"]
    qwen = models(capsys, "qwen3 fp8")
    assert len(qwen) == 3
    assert all("Qwen3" in model["id"] and "FP8" in model["id"] for model in qwen)
    assert models(capsys, "gpt_oss") == models(capsys, "GptOss")


def test_no_match_is_said_with_a_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "nonesuch"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "no bundled model matches 'nonesuch'" in shown.err
    assert "llmbudget plan owner/name" in shown.err


def test_the_table_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "phixtral"]) == 0
    table = capsys.readouterr().out
    for part in ("mlabonne/phixtral-4x2_8", "7.81B", "4.46B", "2,048", "float16", "transformers"):
        assert part in table


def test_a_smaller_card_is_never_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The same weights in fewer bits never need a larger card."""
    cards = load_gpus()
    by_id = {model["id"]: model["smallest_gpu"] for model in models(capsys)}
    for wide, narrow in (
        ("mistralai/Mixtral-8x7B-v0.1", "TheBloke/Mixtral-8x7B-Instruct-v0.1-AWQ"),
        ("Qwen/Qwen2.5-72B-Instruct", "Qwen/Qwen2.5-72B-Instruct-AWQ"),
        ("Qwen/Qwen3-32B", "Qwen/Qwen3-32B-FP8"),
    ):
        assert cards[by_id[narrow]].memory_mib <= cards[by_id[wide]].memory_mib
