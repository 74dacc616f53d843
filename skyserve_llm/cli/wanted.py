"""What `render` and `deploy` are asked for: a plan, and the service it becomes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from skyserve_llm.cli import options, output
from skyserve_llm.cli.planning import plan_model, save_plan, saved_plan, to_json
from skyserve_llm.errors import InputError, NoFeasiblePlanError
from skyserve_llm.types import MARKS, Candidate, Plan

F = TypeVar("F", bound=Callable[..., Any])

_APPLIES_TO_A_SAVED_PLAN = {"purchase", "replicas"}


def override_options(function: F) -> F:
    """What is merged into the YAML last."""
    function = click.option(
        "--set", "assignments", multiple=True, metavar="KEY.PATH=VALUE",
        help="Set one field of the YAML (repeatable).",
    )(function)  # fmt: skip
    return click.option(
        "--overrides", type=click.Path(dir_okay=False, path_type=Path),
        help="A YAML file merged into the service's.",
    )(function)  # fmt: skip


def overrides_from(assignments: tuple[str, ...], file: Path | None) -> dict[str, Any]:
    """The overrides file with every --set on top."""
    from skyserve_llm.service import overrides

    base: dict[str, Any] = {}
    if file is not None:
        try:
            base = overrides.parse_file(file.read_text(encoding="utf-8"), str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read {file}: {error}") from error
    return overrides.merge(base, overrides.parse_assignments(assignments))


def wanted_plan(model: str | None, values: dict[str, Any]) -> Plan:
    """Plan MODEL, or take the plan last made.

    Raises:
        InputError: planning options without a model, or no plan was made yet.
        NoFeasiblePlanError: nothing on offer holds the model.
    """
    if model is None:
        ctx = click.get_current_context()
        stray = [
            option.opts[0]
            for option in ctx.command.params
            if option.name in values.keys() - _APPLIES_TO_A_SAVED_PLAN
            and ctx.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        ]
        if stray:
            raise InputError(
                f"{stray[0]} shapes a plan, and no model was named",
                hint=f"`llmbudget {ctx.info_name} MODEL …` plans again; without a model the plan "
                "last made is taken as it is",
            )
        return saved_plan()
    plan = plan_model(
        options.model_request(model, values),
        **options.planning_arguments(values),
        progress=output.progress,
    )
    if plan.chosen is None:
        raise NoFeasiblePlanError(
            f"nothing on offer holds {model} under these limits",
            hint=f"`llmbudget plan {model}` shows the nearest misses",
        )
    save_plan(to_json(plan))
    return plan


def warn_if_suspect(candidate: Candidate) -> None:
    """Whatever is done with a suspect price is not done silently."""
    if candidate.suspect:
        doubts = "; ".join(MARKS[mark] for mark in candidate.price_marks)
        output.progress(
            f"warning: the price of {candidate.instance_type} on {candidate.cloud} is suspect: "
            f"{doubts}"
        )


def use_spot(values: dict[str, Any]) -> bool | None:
    """--spot is True, --on-demand False, neither leaves it to the plan."""
    return {"spot": True, "on-demand": False}.get(values["purchase"])
