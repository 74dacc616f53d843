"""`llmbudget plan MODEL`."""

from dataclasses import replace
from typing import Any

import click

from skyserve_llm.cli import options, output
from skyserve_llm.cli.planning import ModelRequest, plan_model, save_plan, to_json
from skyserve_llm.errors import NoFeasiblePlanError
from skyserve_llm.planner.memory import account
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.types import Candidate, Plan

TABLE_LIMIT = 10


@click.command("plan", epilog=options.PRECEDENCE)
@click.argument("model")
@options.planning_options
@click.option(
    "--all-places", is_flag=True, help="Every region and zone, not each cloud's cheapest."
)
@click.option("--limit", type=options.POSITIVE, help="Show so many candidates [10 in a table].")
@click.option("--explain", is_flag=True, help="The chosen one's memory, line by line (table).")
@options.output_option
def command(
    model: str,
    all_places: bool,
    limit: int | None,
    explain: bool,
    output_format: str,
    **values: Any,
) -> None:
    """Every way to serve MODEL, from the cheapest month up.

    MODEL is a model's id on the Hugging Face Hub (owner/name, or owner/name@revision), a folder
    that holds a config.json, or one of `llmbudget models`, which need no network. The plan is
    kept for `llmbudget render` and `llmbudget deploy`.
    """
    request = options.model_request(model, values)
    plan = plan_model(
        request,
        **options.planning_arguments(values, every_place=all_places),
        progress=output.progress,
    )
    document = to_json(plan)
    if plan.chosen is not None:
        save_plan(document)
    if output_format == "table":
        _show(plan, limit or TABLE_LIMIT)
        if explain and plan.choice is not None:
            _explain(plan, plan.choice, options.model_request(model, values))
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


def _explain(plan: Plan, choice: Candidate, request: ModelRequest) -> None:
    from skyserve_llm.cli.explain import explanation
    from skyserve_llm.cli.planning import served_model

    model = served_model(request, plan, choice)
    gpu = load_gpus()[choice.gpu]
    size, length = choice.tensor_parallel_size, plan.workload.max_model_len
    parts = account(model, gpu, plan.engine_args, size, length)
    output.tables(*explanation(model, gpu, plan.engine_args, parts))


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
