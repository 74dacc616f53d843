"""The YAML that ``sky serve up`` gets: its text, its values, and the scripts inside it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from skyserve_llm.errors import InputError
from skyserve_llm.service.render import command, lame_duck_seconds, render, yaml_scalar
from skyserve_llm.service.spec import service_spec
from skyserve_llm.service.types import Place, ReadinessProbe, ServiceSpec
from skyserve_llm.types import EngineName
from tests.service.plans import plan

ROOT = Path(__file__).parents[2]
EXPECTED = Path(__file__).with_name("expected_service.yaml")

SPEC = service_spec(plan(), name="qwen", replicas=2)
SIMULATED = service_spec(plan(), name="qwen", replicas=2, engine="simulated")

NASTY = [
    "it's",
    'a"b',
    "$(touch pwned)",
    "`touch pwned`",
    "x; touch pwned",
    "a && touch pwned #",
    "${HOME}",
    "a\\",
    "*",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "- : [&a, *b]",
    "| >",
    "#comment",
    "~",
    "null",
    "ünïcødé 模型 🤖",
]


def parsed(spec: ServiceSpec, **overrides: Any) -> Any:
    return yaml.safe_load(render(spec, overrides=overrides))


def test_the_yaml_reads_as_it_should() -> None:
    text = render(SPEC).replace(str(ROOT), "/checkout")
    # To accept a change: write `text` to the file, and read the diff.
    assert text == EXPECTED.read_text("utf-8")


def test_the_values_that_a_service_cannot_do_without() -> None:
    config = parsed(SPEC)
    service, resources = config["service"], config["resources"]

    assert service["load_balancing_policy"] == "round_robin"
    assert service["readiness_probe"]["path"] == "/v1/health"
    assert service["replica_policy"] == {"min_replicas": 2}
    # Without the one in `service:`, SkyPilot's SDK starts a service that never gets a replica.
    assert service["ports"] == resources["ports"] == 8000
    assert resources["infra"] == "gcp/us-central1/us-central1-a"
    assert resources["instance_type"] == "g2-standard-4"
    assert resources["accelerators"] == "L4:1"
    assert resources["use_spot"] is True
    assert config["secrets"] == {"HF_TOKEN": None, "LLMBUDGET_API_KEY": None}
    assert "envs" not in config


def test_what_is_mounted_is_there_and_is_the_replica_alone() -> None:
    mounts = parsed(SPEC)["file_mounts"]

    assert all(Path(source).exists() for source in mounts.values())
    assert set(mounts) == {
        "~/llmbudget/skyserve_llm/__init__.py",
        "~/llmbudget/skyserve_llm/replica",
        "~/llmbudget/requirements.txt",
    }
    assert mounts["~/llmbudget/requirements.txt"].endswith("replica-vllm.txt")


def test_the_simulated_engine_needs_no_gpu_stack() -> None:
    config = parsed(SIMULATED)

    assert config["file_mounts"]["~/llmbudget/requirements.txt"].endswith("replica.txt")
    assert "nvidia-smi" not in config["setup"]
    assert "tensor-parallel-size" not in config["run"]


def test_the_simulated_replica_is_as_quick_as_the_plan_says_and_starts_as_rendered() -> None:
    """The real replica reads this command line: no flag of it is one that it does not know."""
    words = [word for line in command(SIMULATED) for word in line]
    known = subprocess.run(
        [sys.executable, "-m", "skyserve_llm.replica", *words, "--help"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout  # fmt: skip

    assert words[-4:] == ["--ttft-ms", "300.000", "--tpot-ms", "52.000"]
    assert all(word in known for word in words if word.startswith("--"))


def test_several_places_become_alternatives() -> None:
    other = replace(SPEC.places[0], cloud="aws", region="us-east-1", zone=None)
    resources = parsed(replace(SPEC, places=(*SPEC.places, other)))["resources"]

    assert [place["infra"] for place in resources["any_of"]] == [
        "gcp/us-central1/us-central1-a",
        "aws/us-east-1",
    ]
    assert "infra" not in resources
    assert resources["use_spot"] is True


def test_a_place_is_named_as_far_as_it_is_known() -> None:
    def infra(region: str | None, zone: str | None) -> object:
        place = replace(SPEC.places[0], region=region, zone=zone)
        return parsed(replace(SPEC, places=(place,)))["resources"]["infra"]

    assert infra(None, None) == "gcp"
    assert infra("us-central1", None) == "gcp/us-central1"
    assert infra(None, "us-central1-a") == "gcp/*/us-central1-a"


def test_no_secrets_no_section() -> None:
    assert "secrets" not in parsed(replace(SPEC, secrets=()))


def test_rendering_twice_gives_the_same_text() -> None:
    assert render(SPEC) == render(SPEC)


@pytest.mark.parametrize("nasty", NASTY)
def test_no_value_breaks_out_of_the_yaml_or_the_shell(nasty: str, tmp_path: Path) -> None:
    spec = replace(
        SPEC,
        model=f"org/{nasty}",
        revision=nasty,
        engine_args=(("max-model-len", "8192"), ("quantization", nasty)),
        places=(replace(SPEC.places[0], region=nasty.replace("/", ""), instance_type=nasty),),
    )
    config = parsed(spec)
    plain = parsed(SPEC)

    assert config.keys() == plain.keys()
    assert config["service"] == plain["service"]
    assert config["resources"]["instance_type"] == nasty
    argv = run_script(config["run"], tmp_path)
    assert argv == [
        *("-m", "skyserve_llm.replica", f"org/{nasty}"),
        *("--engine", "vllm", "--host", "0.0.0.0", "--port", "8000", "--lame-duck-s", "32"),
        *("--revision", nasty, "--max-model-len", "8192", "--quantization", nasty),
    ]
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\x85b", "a\u2028b", "a\x00b", "a\x1b[31mb", ""])
def test_a_value_that_no_command_line_can_carry_is_refused(bad: str) -> None:
    with pytest.raises(InputError, match="command line"):
        render(replace(SPEC, revision=bad))
    with pytest.raises(InputError, match="command line"):
        render(replace(SPEC, engine_args=(("dtype", bad),)))


@pytest.mark.parametrize("folder", ["/models/qwen", "./qwen", "~/qwen", "--help"])
def test_what_a_cloud_machine_cannot_download_is_refused(folder: str) -> None:
    with pytest.raises(InputError, match="in a cloud can download"):
        render(replace(SPEC, model=folder))


def test_a_cloud_that_skyserve_cannot_use_is_refused() -> None:
    nowhere = Place(
        cloud="vultr", region=None, zone=None, instance_type=None,
        accelerator="A40", accelerator_count=1,
    )  # fmt: skip
    with pytest.raises(InputError, match="cannot serve from vultr"):
        render(replace(SPEC, places=(nowhere,)))
    with pytest.raises(InputError, match="no place to run"):
        render(replace(SPEC, places=()))


def test_a_secret_needs_the_name_of_a_variable() -> None:
    with pytest.raises(InputError, match="environment variable"):
        render(replace(SPEC, secrets=("HF-TOKEN",)))


def test_a_replica_that_ends_serves_until_nobody_asks_it_any_more() -> None:
    # A probe (5 s, or its timeout of 5 s) to be seen, a synchronisation (20 s) to be left out.
    assert lame_duck_seconds(ReadinessProbe()) == 32
    slow = ReadinessProbe(endpoint_probe_interval_seconds=10, timeout_seconds=15)
    assert lame_duck_seconds(slow) == 47


@pytest.mark.parametrize(
    ("engine", "driver", "outcome"),
    [
        ("vllm", "580.65.06", 0),
        ("vllm", "570.172.08", 1),
        ("simulated", None, 0),
    ],
)
def test_setup_installs_the_pins_or_says_early_why_not(
    engine: EngineName, driver: str | None, outcome: int, tmp_path: Path
) -> None:
    home, calls = tmp_path / "home", tmp_path / "calls"
    (home / "llmbudget").mkdir(parents=True)
    program(home / ".local" / "bin" / "uv", f'echo "uv $*" >> {calls}')
    if driver is not None:
        program(home / ".local" / "bin" / "nvidia-smi", f"echo {driver}")

    done = bash(parsed(replace(SPEC, engine=engine))["setup"], home)

    assert done.returncode == outcome, done.stderr
    if outcome:
        assert f"NVIDIA driver {driver} is older than 580" in done.stderr
        assert not calls.exists()
        return
    assert calls.read_text().splitlines() == [
        "uv venv --allow-existing --python-preference only-managed --python 3.12 venv",
        "uv pip install --python venv/bin/python --requirements requirements.txt",
    ]


scalars = st.one_of(st.text(), st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False))


@settings(deadline=None)
@given(scalars)
def test_every_scalar_comes_back_from_yaml_as_it_went_in(value: object) -> None:
    text = yaml_scalar(value)
    assert "\n" not in text
    back = yaml.safe_load(f"section:\n  key: {text}\n")["section"]["key"]
    assert back == value
    assert type(back) is type(value)


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


def bash(script: str, home: Path) -> subprocess.CompletedProcess[str]:
    path = f"{home}/.local/bin:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", script], env={"HOME": str(home), "PATH": path},
        cwd=home, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def run_script(script: str, home: Path) -> list[str]:
    """Run `run:` in a real shell, on a machine whose Python only writes down its arguments."""
    program(
        home / "llmbudget" / "venv" / "bin" / "python",
        f'[ "$PYTHONPATH" = {home}/llmbudget ] && printf "%s\\0" "$@" > {home}/argv',
    )
    done = bash(script, home)
    assert done.returncode == 0, done.stderr
    return (home / "argv").read_text("utf-8").split("\0")[:-1]
