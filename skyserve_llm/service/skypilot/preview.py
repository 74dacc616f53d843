"""What ``deploy`` would do, without doing it. Pure but for the template; needs no SkyPilot."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from skyserve_llm.service.render import render
from skyserve_llm.service.skypilot.secrets import REQUIRED
from skyserve_llm.service.types import ServiceSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The YAML, and the command that deploys it without llmbudget."""

    yaml: str
    command: str


def preview(
    spec: ServiceSpec,
    *,
    overrides: Mapping[str, Any] | None = None,
    yaml_path: str = "service.yaml",
) -> Preview:
    """The YAML of ``spec`` and the ``sky serve up`` for it, once it is saved as ``yaml_path``.

    Raises:
        InputError: the spec cannot be rendered.
    """
    text = render(spec, overrides=overrides)
    return Preview(yaml=text, command=up_command(spec.name, yaml_path, spec.secrets))


def up_command(name: str, yaml_path: str, secrets: Iterable[str]) -> str:
    """``sky serve up``, with the secrets taken from the environment of the shell."""
    secrets = list(secrets)
    # `--secret NAME` refuses a variable that is not set, and not every model needs each of them.
    optional = [f'{secret}="${{{secret}-}}" ' for secret in secrets if secret not in REQUIRED]
    words = ["sky", "serve", "up", yaml_path, "--service-name", name]
    for secret in secrets:
        words += ["--secret", secret]
    return "".join(optional) + shlex.join(words)
