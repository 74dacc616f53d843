"""`llmbudget render`."""

from pathlib import Path
from typing import Any

import click

from skyserve_llm.cli import options, output
from skyserve_llm.cli.wanted import (
    override_options,
    overrides_from,
    use_spot,
    wanted_plan,
    warn_if_suspect,
)
from skyserve_llm.errors import InputError
from skyserve_llm.service.render import render
from skyserve_llm.service.spec import choose, service_spec


@click.command("render")
@click.argument("model", required=False)
@options.planning_options
@click.option("--name", help="The service's name [from the model's].")
@override_options
@click.option("-f", "--file", type=click.Path(dir_okay=False, path_type=Path), help="Write here.")
def command(
    model: str | None,
    name: str | None,
    assignments: tuple[str, ...],
    overrides: Path | None,
    file: Path | None,
    **values: Any,
) -> None:
    """Write the plan's `sky serve` YAML: of MODEL, or of the plan last made."""
    plan = wanted_plan(model, values)
    spec = service_spec(plan, name=name, replicas=values["replicas"], use_spot=use_spot(values))
    warn_if_suspect(choose(plan, use_spot=spec.use_spot))
    text = render(spec, overrides=overrides_from(assignments, overrides))
    if file is None:
        output.text(text, newline=False)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}") from error
    output.progress(f"wrote {file}; `sky serve up {file}` or `llmbudget deploy` runs it")
