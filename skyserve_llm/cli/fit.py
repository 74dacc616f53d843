"""`llmbudget fit MODEL --gpus L4:1`."""

from typing import Any

import click

from skyserve_llm.cli import options, output
from skyserve_llm.cli.planning import find_model, known_variants, to_json
from skyserve_llm.errors import NoFeasiblePlanError
from skyserve_llm.planner.alternatives import alternatives
from skyserve_llm.planner.fit import Fit, fit
from skyserve_llm.planner.memory import account
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.names import known_name
from skyserve_llm.types import GpuRequest, GpuSpec, ModelSpec


@click.command("fit")
@click.argument("model")
@click.option("--gpus", type=options.GPUS, required=True, help="The card and how many: L4:1.")
@options.fitting_options
@click.option("--explain", is_flag=True, help="The memory, line by line (table).")
@options.output_option
def command(model: str, gpus: GpuRequest, explain: bool, output_format: str, **values: Any) -> None:
    """What vLLM would log for MODEL on one kind and number of cards. No prices.

    Weights, room for KV cache, its size in tokens and the concurrency that makes, as the engine's
    own log has them. Leaves with 3 where it does not fit, and says what would make it.
    """
    cards = load_gpus()
    gpu = cards[known_name("GPU", gpus.name, cards)]
    spec, engine = find_model(options.model_request(model, values), output.progress)
    engine_args = options.engine_args(values)
    variants = known_variants(spec, engine_args)
    found = fit(
        spec,
        engine,
        gpu,
        gpus.count or 1,
        workload=options.workload(values),
        engine_args=engine_args,
        variants=variants,
    )
    served, *_ = alternatives(spec, engine.name, engine_args.quantization, variants)
    if output_format == "json":
        output.json_document(to_json(found))
    else:
        from skyserve_llm.cli.fit_tables import fit_report

        output.tables(*fit_report(found))
        if explain and found.memory is not None:
            _explain(served.model, gpu, found)
    if not found.fits:
        raise NoFeasiblePlanError(
            f"{spec.id} does not fit on {gpu.name}:{found.gpu_count}: {found.reason}",
            hint=f"what would: {', or '.join(found.remedies)}"
            if found.remedies
            else "no single change makes it fit; try other cards",
        )


def _explain(model: ModelSpec, gpu: GpuSpec, found: Fit) -> None:
    from skyserve_llm.cli.explain import explanation

    args, length = found.engine_args, found.workload.max_model_len
    parts = account(model, gpu, args, found.tensor_parallel_size, length)
    output.tables(*explanation(model, gpu, args, parts))
