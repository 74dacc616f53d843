"""Facts and prices → a plan: the pipeline that `plan` and `deploy MODEL` share, and where the
plan last made is kept."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from skyserve_llm.errors import InputError, NoFeasiblePlanError
from skyserve_llm.home import plan_path
from skyserve_llm.planner import make_plan
from skyserve_llm.planner.alternatives import alternatives
from skyserve_llm.planner.engine import choose_engine
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.hub import load_model
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.rates import load_rates
from skyserve_llm.sources.registry import architecture_support
from skyserve_llm.sources.settings import load_settings, narrowed, own_rates
from skyserve_llm.sources.variants import load_variants
from skyserve_llm.types import (
    Candidate,
    EngineArgs,
    EngineChoice,
    Market,
    ModelSpec,
    Plan,
    Variant,
    Workload,
)


class ModelRequest(NamedTuple):
    """Which model is asked for, and whether the Hub is to be asked again."""

    name: str
    revision: str | None = None
    refresh: bool = False


def find_model(
    request: ModelRequest, progress: Callable[[str], None] = lambda line: None
) -> tuple[ModelSpec, EngineChoice]:
    """The model's facts, and the engine that serves it.

    Raises:
        InputError: no such model, no access to it, or facts that cannot be used.
        NoFeasiblePlanError: no engine of ours serves it.
    """
    name, revision, refresh = request
    model = load_model(name, revision=revision, refresh=refresh, progress=progress)
    engine = choose_engine(model, architecture_support(model))
    if engine.name is None:
        raise NoFeasiblePlanError(
            f"no engine serves {model.id}: {engine.reason}",
            hint="`llmbudget models` lists models that can be served",
        )
    return model, engine


def plan_model(
    request: ModelRequest,
    *,
    market: Market,
    workload: Workload,
    engine_args: EngineArgs,
    prices_file: Path | None = None,
    allow_suspect: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> Plan:
    """Read what is known of the model and the market, and plan.

    Raises:
        InputError: the model's facts, the prices or the workload cannot be used.
        NoFeasiblePlanError: no engine of ours serves the model.
    """
    model, engine = find_model(request, progress)
    gpus = load_gpus()
    settings = load_settings()
    market = narrowed(market, settings)
    offers, prices = load_offers(market, gpus, prices_file, settings)
    excluded = (*market.exclude_clouds, *market.exclude_regions)
    return make_plan(
        model,
        engine,
        gpus=gpus,
        offers=offers,
        prices=replace(prices, excluded=excluded) if excluded else prices,
        rates=own_rates(load_rates(), settings),
        workload=workload,
        engine_args=engine_args,
        consolidated=settings.consolidated,
        allow_suspect=allow_suspect,
        variants=known_variants(model, engine_args),
    )


def known_variants(model: ModelSpec, engine_args: EngineArgs) -> tuple[Variant, ...]:
    """Repositories with the model's weights quantized, where they may be wanted."""
    if model.quantization is not None or engine_args.quantization == "none":
        return ()
    return load_variants(model.id)


def served_model(request: ModelRequest, plan: Plan, candidate: Candidate) -> ModelSpec:
    """The facts of what ``candidate`` would load: the model, or what is smaller in its place."""
    model, engine = find_model(request)
    wanted = plan.engine_args.quantization
    found = alternatives(model, engine.name, wanted, known_variants(model, plan.engine_args))
    same = (one for one in found if one.altered == candidate.altered)
    return next(one.model for one in same if one.repository == candidate.repository)


def to_json(value: object) -> str:
    """A plan document (or any of our dataclasses) as JSON: money as decimal text, dates ISO."""
    # One line: indenting would take json's slow encoder, 5 ms of a plan.
    return json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    slots = getattr(type(value), "__slots__", None)
    if slots is None:
        raise TypeError(f"{type(value).__name__} has no place in a document")
    return {name: getattr(value, name) for name in slots}


def save_plan(document: str) -> None:
    """Keep a plan's document for a later `render` or `deploy`, whole or not at all."""
    path = plan_path()
    draft = path.with_suffix(".draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(document, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise InputError(
            f"cannot save the plan under {path.parent}: {error.strerror}",
            hint="set LLMBUDGET_HOME to a folder that can be written",
        ) from error


def saved_plan() -> Plan:
    """The plan last made.

    Raises:
        InputError: none was made yet, or the file is damaged.
    """
    from pydantic import TypeAdapter, ValidationError

    path = plan_path()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            "no plan was made yet", hint="run `llmbudget plan MODEL` first, or name a model"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    try:
        return TypeAdapter(Plan).validate_json(text)
    except ValidationError as error:
        raise InputError(
            f"{path} is damaged or of another release", hint="run `llmbudget plan MODEL` again"
        ) from error
