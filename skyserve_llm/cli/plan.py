"""`llmbudget plan MODEL`."""

from dataclasses import replace
from typing import Any

import click

from skyserve_llm.cli import options, output
from skyserve_llm.cli.planning import plan_model, save_plan, to_json
from skyserve_llm.errors import NoFeasiblePlanError
from skyserve_llm.types import Plan

TABLE_LIMIT = 10


@click.command("plan", epilog=options.PRECEDENCE)
@click.argument("model")
@options.planning_options
@click.option(
    "--all-places", is_flag=True, help="Every region and zone, not each cloud's cheapest."
)
@click.option("--limit", type=options.POSITIVE, help="Show so many candidates [10 in a table].")
@options.output_option
def command(
    model: str, all_places: bool, limit: int | None, output_format: str, **values: Any
) -> None:
    """Every way to serve MODEL, from the cheapest month up.

    MODEL is the id of a bundled model or a folder that holds a config.json. The plan is kept
    for `llmbudget render` and `llmbudget deploy`.
    """
    plan = plan_model(model, **options.planning_arguments(values, every_place=all_places))
    document = to_json(plan)
    if plan.chosen is not None:
        save_plan(document)
    if output_format == "table":
        _show(plan, limit or TABLE_LIMIT)
    elif limit:
        output.json_document(_shortened(plan, limit))
    else:
        output.json_document(document)
    if plan.choice is None:
        raise _nothing_fits(plan)
    if plan.choice.suspect:
        from skyserve_llm.cli.wanted import warn_if_suspect

        warn_if_suspect(plan.choice)


def _show(plan: Plan, limit: int) -> None:
    from skyserve_llm.cli.tables import plan_report

    output.tables(*plan_report(_shortened(plan, limit), total=len(plan.candidates)))


def _shortened(plan: Plan, limit: int) -> Plan:
    """The first candidates; where suspect ones stand before the chosen, it is the last."""
    if plan.chosen is None or plan.chosen < limit:
        return replace(plan, candidates=plan.candidates[:limit])
    shown = (*plan.candidates[: limit - 1], plan.candidates[plan.chosen])
    return replace(plan, candidates=shown, chosen=limit - 1)


def _nothing_fits(plan: Plan) -> NoFeasiblePlanError:
    if not plan.rejected:
        return NoFeasiblePlanError(
            "no offer in the price table matches",
            hint="allow more clouds, regions or GPUs, spot as well as on-demand, or a higher "
            "--max-price",
        )
    nearest = plan.rejected[0]
    return NoFeasiblePlanError(
        f"nothing on offer holds {plan.model.id}; nearest is {nearest.gpu}:{nearest.gpu_count}: "
        f"{nearest.reason}",
        hint="try a shorter --max-model-len, less --concurrency, --kv-cache-dtype fp8, more GPUs "
        "or a quantized variant",
    )
