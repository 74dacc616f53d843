"""A ``ServiceSpec`` becomes the text of a ``sky serve`` YAML, from ``templates/service.yaml.j2``.

The template holds the shape and says why; this module brings the values, each through a filter
that no value can break out of: YAML scalars for fields, shell words for the command. Reads the
template and nothing else. Knows what a service YAML says, not what SkyPilot makes of it:
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
from skyserve_llm.service.types import Place, ServiceSpec

CLOUDS = frozenset(
    "aws azure cudo do fluidstack gcp hyperbolic ibm kubernetes lambda mithril nebius oci "
    "paperspace primeintellect runpod scp seeweb shadeform vast verda vsphere yotta".split()
)
"""Clouds that SkyPilot rents from. The price tables know more of them."""

REMOTE_DIR = "~/llmbudget"
"""Where everything of ours lives on a replica's machine."""

PYTHON_VERSION = "3.12"
"""The Python that requirements/replica-vllm.txt was pinned for."""

CUDA_13_DRIVER = 580
"""The oldest NVIDIA driver that runs CUDA 13, which vLLM's pinned wheels are built for."""

_REQUIREMENTS = {
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
    template = environment.from_string(shipped("templates", "service.yaml.j2").read_text("utf-8"))
    text = template.render(
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
    lines = [[spec.model]]
    if spec.revision is not None:
        lines.append(["--revision", spec.revision])
    lines.append(["--engine", spec.engine])
    lines.append(["--host", "0.0.0.0", "--port", str(spec.replica_port)])  # noqa: S104
    for flag, value in spec.engine_args:
        lines.append([f"--{flag}"] if value is None else [f"--{flag}", value])
    return lines


def file_mounts(spec: ServiceSpec) -> dict[str, str]:
    """Remote path to local path: the replica package and its requirements, nothing else."""
    package = _package()
    return {
        f"{REMOTE_DIR}/skyserve_llm/__init__.py": str(package / "__init__.py"),
        f"{REMOTE_DIR}/skyserve_llm/replica": str(package / "replica"),
        f"{REMOTE_DIR}/requirements.txt": str(shipped("requirements", _REQUIREMENTS[spec.engine])),
    }


def yaml_scalar(value: object) -> str:
    """``value`` as YAML on one line; a string that YAML would read otherwise is quoted."""
    dump = {"default_flow_style": True, "width": math.inf, "allow_unicode": False}
    text = yaml.safe_dump(value, **dump).removesuffix("...\n").rstrip("\n")
    if "\n" in text:
        text = yaml.safe_dump(value, default_style='"', **dump).rstrip("\n")
    return text


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


def shipped(folder: str, name: str) -> Path:
    """A file that travels with the package: beside it in a checkout, inside it in a wheel."""
    package = _package()
    for root in (package / "_data", package.parent):
        path = root / folder / name
        if path.is_file():
            return path
    raise DataError(
        f"{folder}/{name} is missing from this installation",
        hint="install llmbudget again",
    )


def _package() -> Path:
    return Path(str(resources.files("skyserve_llm")))


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
    for place in spec.places:
        if place.cloud not in CLOUDS:
            raise InputError(
                f"SkyPilot cannot rent from {place.cloud}",
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
