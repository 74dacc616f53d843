"""Every bundled model plans, and the arithmetic of all of them is a matter of a second."""

import time

from skyserve_llm.planner import make_plan
from skyserve_llm.planner.engine import choose_engine
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.hub import bundled_models
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.rates import load_rates
from skyserve_llm.sources.registry import architecture_support
from skyserve_llm.types import EngineArgs, Market, Workload

BOUND_S = 3.0
"""Of processor time: three times what benchmarks/plan_all_models.py holds a quiet machine to."""


def test_every_model_plans_within_a_bound() -> None:
    gpus, rates = load_gpus(), load_rates()
    offers, prices = load_offers(Market(), gpus)
    known = [(m, choose_engine(m, architecture_support(m))) for m in bundled_models()]
    start = time.process_time()
    plans = [
        make_plan(
            model, engine, gpus=gpus, offers=offers, prices=prices, rates=rates,
            workload=Workload(), engine_args=EngineArgs(),
        )
        for model, engine in known
    ]  # fmt: skip
    assert time.process_time() - start < BOUND_S
    assert len(plans) == 75
    for plan in plans:
        assert plan.model.engine is not None
        assert plan.candidates or plan.rejected
