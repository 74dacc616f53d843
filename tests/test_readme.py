"""The README cannot drift: its `plan` is run and compared, its other commands are parsed."""

import os
import re
import shlex
from pathlib import Path

import click
import pytest

from skyserve_llm.cli import cli, run

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for block in BLOCKS
    for line in block.splitlines()
    if line.startswith("$ llmbudget")
]


def test_the_plan_shown_is_the_plan_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path))
    (block,) = (block for block in BLOCKS if "WHAT IT" in block or "INFRA" in block)
    command, shown = block.split("\n", 1)
    assert run(shlex.split(command)[2:]) == 0
    assert trimmed(capsys.readouterr().out) == trimmed(shown)


def trimmed(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shown_is_one_we_have(command: str) -> None:
    name, *args = shlex.split(command)[1:]
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    found.make_context(name, args, resilient_parsing=False)


def test_the_gate_runs_the_command_that_the_readme_names() -> None:
    assert "$ make test\n" in README
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_floor_plan_names_every_folder() -> None:
    tracked = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    for folder in tracked & {"pricing", "templates", "tests", "benchmarks"}:
        assert f"{folder}/" in README
    architecture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "skyserve_llm").rglob("*.py"):
        if path.name != "__init__.py":
            assert path.name in architecture, f"docs/architecture.md does not tell {path.name}"
