"""`llmbudget deploy`."""

from pathlib import Path
from typing import Any

import click

from skyserve_llm.cli import options, output, services
from skyserve_llm.cli.wanted import (
    override_options,
    overrides_from,
    use_spot,
    wanted_plan,
    warn_if_suspect,
)
from skyserve_llm.errors import InputError
from skyserve_llm.planner.cost import rescaled
from skyserve_llm.service.backend import Backend
from skyserve_llm.service.skypilot.preview import preview
from skyserve_llm.service.spec import DEFAULT_SECRETS, choose, service_spec
from skyserve_llm.service.types import ServiceSpec
from skyserve_llm.types import MARKS, Plan
from skyserve_llm.units import usd, usd_per_hour

DEFAULT_TIMEOUT_SECONDS = 1800
"""Half an hour: provisioning, image, environment and a large checkpoint's download."""


@click.command("deploy")
@click.argument("model", required=False)
@options.planning_options
@click.option("--name", help="The service's name [from the model's].")
@click.option("--local", is_flag=True, help="Run on this machine, engine simulated.")
@click.option("--port", type=click.IntRange(1, 65535), help="Endpoint port, with --local.")
@click.option("--dry-run", is_flag=True, help="Show what would run and start nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before spending.")
@click.option("--timeout", type=click.FloatRange(min=1), default=DEFAULT_TIMEOUT_SECONDS,
              show_default=True, help="Seconds to wait until it answers.")  # fmt: skip
@override_options
def command(
    model: str | None,
    name: str | None,
    local: bool,
    port: int | None,
    dry_run: bool,
    yes: bool,
    timeout: float,
    assignments: tuple[str, ...],
    overrides: Path | None,
    **values: Any,
) -> None:
    """Run MODEL, or the plan last made, and wait until it answers."""
    if port is not None and not local:
        raise InputError("--port goes with --local", hint="in a cloud SkyServe gives the port")
    plan = wanted_plan(model, values)
    changes = overrides_from(assignments, overrides)
    if local and changes:
        raise InputError("--set and --overrides change a YAML; --local renders none")
    spec = service_spec(
        plan,
        name=name,
        replicas=values["replicas"],
        use_spot=use_spot(values),
        # Everything but the GPU is real on this machine: the planned engine needs one.
        engine="simulated" if local else None,
        secrets=() if local else DEFAULT_SECRETS,
    )
    if dry_run:
        _show(spec, changes, local=local, bill=_bill(plan, spec))
        return
    if not local:
        warn_if_suspect(choose(plan, use_spot=spec.use_spot))
        if not yes:
            _ask(plan, spec)
    _run(_backend(local, port, changes), spec, timeout)


def _show(spec: ServiceSpec, changes: dict[str, Any], *, local: bool, bill: str) -> None:
    shown = preview(spec, overrides=changes)
    output.text(shown.yaml, newline=False)
    if local:
        output.progress(f"would run {spec.replicas} simulated replicas of {spec.model} here")
    else:
        output.progress(f"would run {_what(spec)}: {bill}\nas {shown.command}")


def _backend(local: bool, port: int | None, changes: dict[str, Any]) -> Backend:
    if local:
        return services.local_backend(port)
    from skyserve_llm.service.skypilot.backend import SkyPilotBackend

    return SkyPilotBackend(overrides=changes)


def _run(backend: Backend, spec: ServiceSpec, timeout: float) -> None:
    status = backend.deploy(spec, progress=output.progress, timeout_seconds=timeout)
    services.record(status)
    output.progress(f"{spec.name} answers at {status.endpoint}")
    output.progress("try: llmbudget chat · status · cost · down " + spec.name)


def _ask(plan: Plan, spec: ServiceSpec) -> None:
    output.progress(f"{_what(spec)}: {_bill(plan, spec)}")
    if not click.get_text_stream("stdin").isatty():
        raise InputError("deploy spends money and asks first", hint="-y answers yes")
    click.confirm("Start it?", abort=True, err=True)


def _what(spec: ServiceSpec) -> str:
    place = spec.places[0]
    kind = "spot " if spec.use_spot else ""
    return (
        f"{spec.replicas} x {kind}{place.accelerator}:{place.accelerator_count} "
        f"for {spec.model} on {place.cloud}/{place.zone or place.region or 'any region'}"
    )


def _bill(plan: Plan, spec: ServiceSpec) -> str:
    candidate = choose(plan, use_spot=spec.use_spot)
    month = rescaled(candidate.month, spec.replicas, of=plan.workload.replicas)
    hourly = candidate.price_per_hour * spec.replicas
    text = f"{usd_per_hour(hourly)} an hour, {usd(month.total)} a month"
    if month.controller:
        text += f" with SkyServe's controller ({usd(month.controller)})"
    for mark in candidate.price_marks:
        text += f"; the price is {mark.replace('_', ' ')}: {MARKS[mark]}"
    return text
