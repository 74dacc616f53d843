"""The pipeline: what fits is ranked by its month, what does not says why."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skyserve_llm.errors import InputError
from skyserve_llm.planner import make_plan
from skyserve_llm.planner.placement import Placement, place
from skyserve_llm.planner.throughput import experts_read
from skyserve_llm.types import (
    EngineArgs,
    EngineChoice,
    ModelSpec,
    Offer,
    Plan,
    PriceSnapshot,
    Rate,
    Rejection,
    Served,
    Workload,
)
from skyserve_llm.units import HOURS_PER_MONTH
from tests.planner.cards import (
    A100,
    A100_80GB,
    CARDS,
    L4,
    LLAMA_8B,
    MI300X,
    MIXTRAL,
    MIXTRAL_AWQ,
    MODELS,
    PHIXTRAL,
    T4,
    offer,
)

RATES = {
    "gcp": Rate(
        cloud="gcp",
        disk_gib_month=Decimal("0.10"),
        egress_gib=None,
        controller_hour=Decimal("0.20"),
        as_of=None,
        source="test",
    )
}
GCP_CONTROLLER = Decimal("0.20") * HOURS_PER_MONTH + Decimal("0.10") * 256
ENGINE = EngineChoice("vllm", "test")
OFFERS = [
    offer("L4", 1, "0.71"),
    offer("L4", 1, "0.21", spot=True),
    offer("T4", 1, "0.54"),
    offer("L4", 8, "8.00"),
    offer("A100", 1, "3.67"),
    offer("A100-80GB", 1, "5.07"),
    offer("A100-80GB", 2, "10.14"),
    offer("A100-80GB", 2, "9.00", cloud="elsewhere"),
]


def plan(model: ModelSpec, offers: list[Offer] = OFFERS, **load: int) -> Plan:
    return make_plan(
        model,
        ENGINE,
        gpus=CARDS,
        offers=offers,
        prices=PriceSnapshot(snapshot="test", as_of={"gcp": date(2026, 1, 1)}),
        rates=RATES,
        workload=Workload(**load),
        engine_args=EngineArgs(),
    )


def test_phixtral_goes_to_one_spot_l4() -> None:
    choice = plan(PHIXTRAL).choice
    assert choice is not None
    assert (choice.gpu, choice.gpu_count, choice.spot) == ("L4", 1, True)
    assert choice.month.compute == Decimal("0.21") * HOURS_PER_MONTH
    assert choice.month.controller == GCP_CONTROLLER


def test_mixtral_needs_two_a100_and_awq_one() -> None:
    fitting = {(c.gpu, c.gpu_count) for c in plan(MIXTRAL).candidates}
    assert ("A100-80GB", 2) in fitting
    assert ("A100-80GB", 1) not in fitting
    assert ("A100", 1) in {(c.gpu, c.gpu_count) for c in plan(MIXTRAL_AWQ).candidates}


def test_candidates_are_ranked_by_the_whole_month() -> None:
    candidates = plan(PHIXTRAL, replicas=2).candidates
    assert [c.rank for c in candidates] == list(range(1, len(candidates) + 1))
    totals = [c.month.total for c in candidates]
    assert totals == sorted(totals)
    for candidate in candidates:
        month = candidate.month
        assert month.compute == candidate.price_per_hour * 2 * HOURS_PER_MONTH
        parts = (month.compute, month.disk, month.controller, month.egress)
        assert month.total == sum(part for part in parts if part is not None)


def test_a_cloud_without_rates_shows_its_disk_as_unknown_and_pays_for_a_controller() -> None:
    elsewhere = next(c for c in plan(MIXTRAL).candidates if c.cloud == "elsewhere")
    assert elsewhere.month.disk is None
    assert elsewhere.month.controller == GCP_CONTROLLER


def test_nothing_fits_names_the_nearest_miss_first() -> None:
    result = plan(
        MIXTRAL, [offer("L4", 1, "0.7"), offer("A100-80GB", 1, "5"), offer("T4", 1, "0.5")]
    )
    assert result.chosen is None
    assert result.choice is None
    assert result.rejected[0].gpu == "A100-80GB"
    assert "weights 87.00 GiB" in result.rejected[0].reason


@pytest.mark.parametrize(
    ("model", "gpu", "count", "reason"),
    [
        (LLAMA_8B, T4, 1, "bfloat16 needs compute capability 8.0"),
        (LLAMA_8B, MI300X, 1, "not a CUDA card"),
        (MODELS["google/gemma-3-1b-it"], L4, 8, "4 attention heads do not divide over 8"),
        (MODELS["Qwen/Qwen2.5-7B-Instruct"], L4, 8, "28 attention heads do not divide over 8"),
        (LLAMA_8B, A100_80GB, 3, "1, 2, 4 or 8 GPUs"),
        (LLAMA_8B, L4, 1, "one request of 131,072 tokens needs 16.00 GiB"),
    ],
)
def test_a_rejection_says_why(model: ModelSpec, gpu, count: int, reason: str) -> None:
    outcome = place(Served(model), gpu, count, EngineArgs(), Workload())
    assert isinstance(outcome, Rejection)
    assert reason in outcome.reason


def test_a_shorter_context_fits_where_the_models_own_does_not() -> None:
    outcome = place(Served(LLAMA_8B), L4, 1, EngineArgs(), Workload(max_model_len=8192))
    assert isinstance(outcome, Placement)
    block = 16 * outcome.memory.kv_cache_bytes_per_token
    assert outcome.kv_cache_tokens == outcome.memory.kv_cache_bytes // block * 16


@pytest.mark.parametrize(
    ("load", "named"),
    [
        ({"max_model_len": 4096}, "--max-model-len 4096"),
        ({"input_tokens": 2000, "output_tokens": 100}, "--input-tokens and --output-tokens"),
    ],
)
def test_a_workload_beyond_the_model_is_refused(load: dict[str, int], named: str) -> None:
    with pytest.raises(InputError, match=named):
        plan(PHIXTRAL, **load)


def test_without_a_wish_the_context_is_what_vllm_takes() -> None:
    phi = MODELS["microsoft/Phi-4-mini-instruct"]
    assert plan(phi).workload.max_model_len == 4096
    assert plan(phi, max_model_len=131072).workload.max_model_len == 131072


def test_few_tokens_touch_few_experts_and_many_all() -> None:
    assert experts_read(MIXTRAL, 1) == pytest.approx(2)
    assert experts_read(MIXTRAL, 1000) == pytest.approx(8)


def test_an_unknown_bandwidth_is_unknown_speed() -> None:
    blind = L4._replace(bandwidth_gb_s=None)
    outcome = place(Served(PHIXTRAL), blind, 1, EngineArgs(), Workload())
    assert isinstance(outcome, Placement)
    assert outcome.throughput.tpot_ms is None
    assert outcome.throughput.output_tokens_per_s is None


prices = st.decimals(min_value="0.01", max_value="50", places=4)


@given(price=prices, discount=st.decimals(min_value="0.01", max_value="1", places=4))
@example(price=Decimal("0.0100"), discount=Decimal("0.9994"))  # the same month, in whole cents
def test_a_cheaper_equal_offer_never_ranks_lower(price: Decimal, discount: Decimal) -> None:
    dear, cheap = offer("L4", 1, str(price)), offer("L4", 1, str(price * discount), spot=True)
    candidates = plan(PHIXTRAL, [dear, cheap, offer("A100", 1, "3")]).candidates
    rank = {c.spot: c.rank for c in candidates if c.gpu == "L4"}
    if discount < 1:
        assert rank[True] < rank[False]


@given(order=st.permutations(OFFERS))
def test_the_order_of_the_table_does_not_matter(order: list[Offer]) -> None:
    assert plan(PHIXTRAL, order) == plan(PHIXTRAL)


@given(concurrency=st.integers(1, 64), more=st.integers(0, 64))
def test_more_load_never_fits_on_more(concurrency: int, more: int) -> None:
    light, heavy = (
        plan(PHIXTRAL, concurrency=concurrency),
        plan(PHIXTRAL, concurrency=concurrency + more),
    )
    assert len(heavy.candidates) <= len(light.candidates)


def test_every_bundled_model_is_placed_or_turned_down_with_a_reason() -> None:
    for model in MODELS.values():
        for gpu in CARDS.values():
            for count in (1, 2, 4, 8):
                outcome = place(
                    Served(model), gpu, count, EngineArgs(), Workload(max_model_len=2048)
                )
                assert isinstance(outcome, Placement) or outcome.reason


def test_a100_holds_mixtral_awq_with_its_own_context() -> None:
    outcome = place(Served(MIXTRAL_AWQ), A100, 1, EngineArgs(), Workload())
    assert isinstance(outcome, Placement)
    assert outcome.max_concurrency >= 1
