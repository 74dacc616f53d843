"""The small parts around SkyPilot's SDK: its output, its secrets, its absence, its command."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from skyserve_llm.service.skypilot.client import LineWriter
from skyserve_llm.service.skypilot.lines import lines_of
from skyserve_llm.service.skypilot.preview import preview, up_command
from skyserve_llm.service.spec import service_spec
from tests.service.plans import plan

SPEC = service_spec(plan(), name="qwen", replicas=2)


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (["one\ntwo\n"], ["one", "two"]),
        (["o", "ne\nt", "wo"], ["one", "two"]),
        (["\x1b[32m✓ done\x1b[0m\n"], ["✓ done"]),
        (["10%\r50%\rdone\r\n"], ["done"]),
        (["\n \n"], []),
        (['<sky-payload>"<rich_exit></rich_exit>"</sky-payload>\nreal\n'], ["real"]),
        (["", "last"], ["last"]),
    ],
)
def test_skypilots_output_becomes_lines(written: list[str], lines: list[str]) -> None:
    seen: list[str] = []
    writer = LineWriter(seen.append)
    for text in written:
        print(text, end="", file=writer, flush=True)
    writer.finish()

    assert seen == lines
    assert writer.writable()


def test_lines_come_before_the_call_is_over() -> None:
    from threading import Event

    go_on = Event()

    def call(lines: object) -> None:
        assert callable(lines)
        lines("first")
        assert go_on.wait(10)
        lines("second")

    lines = lines_of(call)
    assert next(lines) == "first"
    go_on.set()
    assert list(lines) == ["second"]


def test_nothing_of_the_control_plane_imports_sky_by_itself() -> None:
    """`import sky` takes 2 s, and is not there without the extra."""
    code = (
        "import sys; import skyserve_llm.service.skypilot.backend, "
        "skyserve_llm.service.skypilot.preview, skyserve_llm.service.skypilot.validate; "
        "sys.exit('sky' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_missing_skypilot_is_named_with_what_installs_it() -> None:
    code = (
        "import sys; sys.modules['sky'] = None\n"
        "from skyserve_llm.errors import BackendError\n"
        "from skyserve_llm.service.skypilot.backend import SkyPilotBackend\n"
        "try: SkyPilotBackend().status()\n"
        "except BackendError as error: print(error.exit_code, error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout == "5 pip install 'llmbudget[sky]'\n"


def test_a_preview_is_the_yaml_and_the_command_that_deploys_it() -> None:
    shown = preview(SPEC, overrides={"resources": {"disk_size": 333}})

    assert yaml.safe_load(shown.yaml)["resources"]["disk_size"] == 333
    assert shown.command == (
        'HF_TOKEN="${HF_TOKEN-}" sky serve up service.yaml --service-name qwen '
        "--secret HF_TOKEN --secret LLMBUDGET_API_KEY"
    )


def test_the_command_is_one_that_skypilot_reads(tmp_path: Path) -> None:
    """Up to the first thing that is not there: the file."""
    sky = Path(sys.executable).with_name("sky")
    command = up_command("qwen", str(tmp_path / "no such.yaml"), ("HF_TOKEN", "LLMBUDGET_API_KEY"))
    command = command.replace("sky serve", f"{sky} serve")
    done = subprocess.run(
        ["bash", "-c", f"LLMBUDGET_API_KEY=k; export LLMBUDGET_API_KEY; {command}"],
        check=False, timeout=60, capture_output=True, text=True,
    )  # fmt: skip
    assert "no such option" not in done.stderr.lower()
    assert "is not set in local environment" not in done.stderr
    assert "SERVICE_YAML must be a valid YAML file" in done.stderr
