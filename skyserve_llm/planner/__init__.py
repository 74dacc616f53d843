"""The planner: facts and prices in, a ranked plan out. Pure arithmetic, no I/O, no clock."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from skyserve_llm.errors import InputError
from skyserve_llm.planner.alternatives import alternatives, is_offered
from skyserve_llm.planner.placement import Placement, context_length, place
from skyserve_llm.planner.ranking import choose, rank
from skyserve_llm.types import (
    EngineArgs,
    EngineChoice,
    GpuSpec,
    ModelSpec,
    ModelSummary,
    Offer,
    Plan,
    PriceSnapshot,
    Rate,
    Rejection,
    Variant,
    Workload,
)

__all__ = ["make_plan"]


def make_plan(
    model: ModelSpec,
    engine: EngineChoice,
    *,
    gpus: Mapping[str, GpuSpec],
    offers: Sequence[Offer],
    prices: PriceSnapshot,
    rates: Mapping[str, Rate],
    workload: Workload,
    engine_args: EngineArgs,
    variants: Sequence[Variant] = (),
    consolidated: bool = False,
    allow_suspect: bool = False,
) -> Plan:
    """Place the model on every kind of instance on offer and rank what fits by its month.

    ``variants`` are the repositories known to hold it quantized. Unless a quantization is asked
    for, what is smaller than the checkpoint is tried only where that itself does not fit.
    ``consolidated`` bills no machine for SkyServe's controller; ``allow_suspect`` chooses the
    cheapest month even at a price that is marked suspect.

    Raises:
        InputError: the workload asks for more context than the model has, or ``engine_args`` for
            a quantization that nothing known of it has.
    """
    check_workload(model, workload)
    wanted = engine_args.quantization
    first, *others = alternatives(model, engine.name, wanted, variants)
    placements: dict[tuple[str, int], list[Placement]] = {}
    rejected = []
    for name, count in sorted({(offer.gpu, offer.gpu_count) for offer in offers}):
        gpu = gpus[name]
        tried = [place(first, gpu, count, engine_args, workload)]
        if isinstance(tried[0], Rejection):
            rejected.append(tried[0])
        if wanted != "auto" or isinstance(tried[0], Rejection):
            tried += [place(other, gpu, count, engine_args, workload) for other in others
                      if is_offered(other, gpu, wanted)]  # fmt: skip
        placements[name, count] = [one for one in tried if isinstance(one, Placement)]
    candidates = rank(offers, placements, rates, workload, consolidated=consolidated)
    return Plan(
        model=summary(model, engine),
        workload=replace(workload, max_model_len=context_length(model, workload)),
        engine_args=engine_args,
        prices=prices,
        chosen=choose(candidates, allow_suspect=allow_suspect),
        candidates=candidates,
        rejected=tuple(sorted(rejected, key=_distance)),
    )


def check_workload(model: ModelSpec, workload: Workload) -> None:
    """Raises InputError for a workload that the model cannot have been asked for."""
    longest = context_length(model, workload)
    if longest > model.max_position_embeddings:
        raise InputError(
            f"--max-model-len {longest} is more than {model.id} was trained for "
            f"({model.max_position_embeddings})",
            hint=f"use --max-model-len {model.max_position_embeddings} or less",
        )
    asked = workload.input_tokens + workload.output_tokens
    if asked > longest:
        raise InputError(
            f"--input-tokens and --output-tokens make {asked} tokens, "
            f"more than the context of {longest}",
            hint="ask for fewer tokens or a longer --max-model-len",
        )


def _distance(rejection: Rejection) -> tuple[bool, int, str, int]:
    """Nearest misses first: by the memory each card lacks; other reasons last."""
    missing = rejection.shortfall_bytes
    return (
        missing is None,
        (missing or 0) * rejection.gpu_count,
        rejection.gpu,
        rejection.gpu_count,
    )


def summary(model: ModelSpec, engine: EngineChoice) -> ModelSummary:
    """The model as documents show it."""
    return ModelSummary(
        id=model.id,
        revision=model.revision,
        architecture=model.architecture,
        model_type=model.model_type,
        parameters=model.parameters.total,
        active_parameters=model.active_parameters,
        dtype=model.dtype,
        quantization=model.quantization.method if model.quantization else None,
        source=model.source,
        engine=engine.name,
        engine_reason=engine.reason,
        max_new_tokens=model.max_new_tokens,
        trust_remote_code=engine.trust_remote_code,
    )
