"""The built wheel is what users get: it plans from an empty environment and another folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PINS = ROOT / "requirements" / "dev.txt"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv that holds the wheel and its base dependencies only."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = [sys.executable, "-m", "uv"]
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder), str(ROOT)])
    (wheel,) = folder.glob("llmbudget-*.whl")
    run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")])
    python = folder / "venv" / "bin" / "python"
    run([*uv, "pip", "install", "--quiet", "--python", str(python), "-c", str(PINS), str(wheel)])
    return python.with_name("llmbudget")


def run(command: list[str], **options: object) -> str:
    done = subprocess.run(command, check=False, text=True, capture_output=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr[-2000:]
    return str(done.stdout)


def llmbudget(installed: Path, folder: Path, *args: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return run([str(installed), *args], cwd=folder, env=environment)


def test_the_wheel_plans_and_renders_from_another_folder(installed: Path, tmp_path: Path) -> None:
    plan = json.loads(
        llmbudget(installed, tmp_path, "plan", "mlabonne/phixtral-4x2_8", "-o", "json")
    )
    assert not set(plan["candidates"][plan["chosen"]]["price_marks"]) - {"undated", "disputed"}
    assert "resources:" in llmbudget(installed, tmp_path, "render")
    assert (tmp_path / ".llmbudget" / "plan.json").is_file()


def test_without_skypilot_deploying_names_the_command_that_installs_it(
    installed: Path, tmp_path: Path
) -> None:
    llmbudget(installed, tmp_path, "plan", "mlabonne/phixtral-4x2_8", "--cloud", "gcp")
    for where in ("--local", "-y"):
        done = subprocess.run(
            [installed, "deploy", where],
            check=False, text=True, capture_output=True, cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 5, done.stderr
        assert "llmbudget[sky]" in done.stderr
        assert "Traceback" not in done.stderr
