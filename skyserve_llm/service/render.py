"""A ``ServiceSpec`` becomes the text of a ``sky serve`` YAML, from ``templates/service.yaml.j2``.

The template holds the shape and says why; this module brings the values, each through a filter
that no value can break out of: YAML scalars for fields, shell words for the command. Reads
shipped files and nothing else. Knows what a service YAML says, not what SkyPilot makes of it:
``service/skypilot/validate.py`` asks SkyPilot itself.
"""

import math
import re
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import yaml

from skyserve_llm.errors import DataError, InputError
from skyserve_llm.service import overrides as override
from skyserve_llm.service.spec import flag_words
from skyserve_llm.service.types import Place, ReadinessProbe, ServiceSpec
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.data import templates_dir
from skyserve_llm.types import EngineName

REMOTE_DIR = "~/llmbudget"
"""Where everything of ours lives on a replica's machine."""

PYTHON_VERSION = "3.12"
"""The Python that requirements/replica-vllm.txt was pinned for."""

CUDA_13_DRIVER = 580
"""The oldest NVIDIA driver that runs CUDA 13, which vLLM's pinned wheels are built for."""

LOAD_BALANCER_SYNC_SECONDS = 20
"""How often SkyServe's load balancer asks its controller which replicas are ready."""

_REQUIREMENTS: dict[EngineName, str] = {
    "vllm": "replica-vllm.txt",
    # vLLM's own requirements hold torch and transformers: one set to pin and to test.
    "transformers": "replica-vllm.txt",
    "simulated": "replica.txt",
}

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def render(spec: ServiceSpec, *, overrides: Mapping[str, Any] | None = None) -> str:
    """The YAML that ``sky serve up`` takes, ``overrides`` merged into it last.

    Raises:
        InputError: nowhere to run, a cloud SkyPilot cannot rent from, or a value no command
            line can carry.
    """
    _check(spec)
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, not HTML: the filters below do the escaping
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "yaml": yaml_scalar,
        "yaml_block": yaml_block,
        "yaml_script": yaml_script,
    }
    source = (templates_dir() / "service.yaml.j2").read_text("utf-8")
    text = environment.from_string(source).render(
        spec=spec,
        places=[_place(place) for place in spec.places],
        file_mounts=file_mounts(spec),
        secrets=dict.fromkeys(spec.secrets),
        command=[shlex.join(words) for words in command(spec)],
        remote_dir=REMOTE_DIR,
        python=PYTHON_VERSION,
        min_driver=None if spec.engine == "simulated" else CUDA_13_DRIVER,
    )
    return override.apply(text, overrides or {})


def command(spec: ServiceSpec) -> list[list[str]]:
    """The replica's arguments, a line of words each: ``python -m skyserve_llm.replica …``."""
    lines = [[spec.model], ["--engine", spec.engine]]
    lines.append(["--host", "0.0.0.0", "--port", str(spec.replica_port)])  # noqa: S104
    lines.append(["--lame-duck-s", str(lame_duck_seconds(spec.readiness_probe))])
    return lines + flag_words(spec)


def lame_duck_seconds(probe: ReadinessProbe) -> int:
    """How long a replica that is told to end must go on serving to lose no request.

    One probe to be seen, one synchronisation to be left out of the rotation, and a margin.
    """
    margin = 2
    seen = probe.endpoint_probe_interval_seconds + probe.timeout_seconds
    return math.ceil(seen + LOAD_BALANCER_SYNC_SECONDS + margin)


def file_mounts(spec: ServiceSpec) -> dict[str, str]:
    """Remote path to local path: the replica package and its requirements, nothing else."""
    package = Path(str(resources.files("skyserve_llm")))
    return {
        f"{REMOTE_DIR}/skyserve_llm/__init__.py": str(package / "__init__.py"),
        f"{REMOTE_DIR}/skyserve_llm/replica": str(package / "replica"),
        f"{REMOTE_DIR}/requirements.txt": str(_requirements(spec.engine)),
    }


def yaml_scalar(value: object) -> str:
    """``value`` as YAML on one line; a string that YAML would read otherwise is quoted."""
    text = _dump(value)
    return text if "\n" not in text else _dump(value, style='"')


def yaml_block(mapping: Mapping[str, object], indent: int) -> str:
    """``mapping`` as YAML, a key a line."""
    margin = " " * indent
    return "\n".join(
        f"{margin}{yaml_scalar(key)}: {yaml_scalar(value)}" for key, value in mapping.items()
    )


def yaml_script(script: str, indent: int) -> str:
    """``script`` as a literal block: as readable in the YAML as in a file."""
    margin = " " * indent
    lines = script.rstrip("\n").split("\n")
    return "|\n" + "\n".join(f"{margin}{line}" if line else "" for line in lines)


def _dump(value: object, style: str | None = None) -> str:
    text = yaml.safe_dump(
        value, default_style=style, default_flow_style=True, width=math.inf, allow_unicode=False
    )
    return text.removesuffix("...\n").rstrip("\n")


def _requirements(engine: EngineName) -> Path:
    # Beside the templates, in a checkout and in a wheel.
    path = templates_dir().parent / "requirements" / _REQUIREMENTS[engine]
    if not path.is_file():
        raise DataError(
            f"{path.name}, the replica's pinned requirements, is missing from this installation",
            hint="reinstall llmbudget: pip install --force-reinstall llmbudget",
        )
    return path


def _place(place: Place) -> dict[str, str]:
    parts = [place.cloud, place.region or "*", place.zone or "*"]
    while parts[-1] == "*":
        parts.pop()
    fields = {"infra": "/".join(parts)}
    if place.instance_type is not None:
        fields["instance_type"] = place.instance_type
    fields["accelerators"] = f"{place.accelerator}:{place.accelerator_count}"
    return fields


def _check(spec: ServiceSpec) -> None:
    if not spec.places:
        raise InputError(
            f"service {spec.name} has no place to run",
            hint="deploy a plan, or run it here with --local",
        )
    clouds = load_clouds()
    for place in spec.places:
        cloud = clouds.get(place.cloud)
        if cloud is None or not cloud.serves:
            raise InputError(
                f"SkyServe cannot serve from {place.cloud}",
                hint="plan again with --clouds, for instance --clouds aws,gcp,azure,lambda,runpod",
            )
    for secret in spec.secrets:
        if not _VARIABLE.fullmatch(secret):
            raise InputError(f"{secret!r} cannot be the name of an environment variable")
    if spec.model.startswith(("-", "/", ".", "~")):
        raise InputError(
            f"{spec.model} is not a model that a machine in a cloud can download",
            hint="give the id of a Hugging Face repository, or serve the folder with --local",
        )
    words = [word for line in command(spec) for word in line]
    for word in words:
        # Line breaks and control characters: none of them is ever meant, and YAML, the shell and
        # a terminal each read them in a way of their own.
        if not word or not word.isprintable():
            raise InputError(f"{word!r} cannot stand on the replica's command line")
