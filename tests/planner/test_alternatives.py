"""What is smaller than a checkpoint, when it is tried, and that it never takes its place."""

import pytest

from skyserve_llm.errors import InputError
from skyserve_llm.planner import make_plan
from skyserve_llm.planner.alternatives import METHODS, alternatives
from skyserve_llm.planner.memory import weights_bytes
from skyserve_llm.sources.hub import bundled_models
from skyserve_llm.sources.variants import load_variants
from skyserve_llm.types import (
    EngineArgs,
    EngineChoice,
    ModelSpec,
    Offer,
    Plan,
    PriceSnapshot,
    Quantization,
    Variant,
    Workload,
)
from tests.planner.cards import CARDS, LLAMA_8B, MIXTRAL, MIXTRAL_AWQ, MODELS, PHIXTRAL, card, offer

CARDS = {**CARDS, "H100": card("H100", 81559, 3350, 989, "9.0")}
VLLM, OURS = EngineChoice("vllm", "test"), EngineChoice("transformers", "test")
AWQ = Variant("somebody/llama-awq", Quantization("awq", 4, 128), "test")
OFFERS = [
    offer("L4", 1, "0.7"), offer("L4", 4, "2.8"), offer("A100-80GB", 1, "4"),
    offer("A100-80GB", 2, "8"), offer("H100", 1, "6"), offer("T4", 1, "0.2"),
]  # fmt: skip


def plan(
    model: ModelSpec,
    *,
    wanted: str = "auto",
    engine: EngineChoice = VLLM,
    offers: list[Offer] = OFFERS,
    variants: tuple[Variant, ...] = (),
    **load: int,
) -> Plan:
    return make_plan(
        model,
        engine,
        gpus=CARDS,
        offers=offers,
        prices=PriceSnapshot(snapshot="test", as_of={}),
        rates={},
        workload=Workload(**load),
        engine_args=EngineArgs(quantization=wanted),
        variants=variants,
    )


def served(found: Plan) -> set[tuple[str, int, str | None]]:
    return {(one.gpu, one.gpu_count, one.altered and one.quantization) for one in found.candidates}


def test_what_is_smaller_is_tried_where_the_checkpoint_does_not_fit() -> None:
    found = served(plan(MIXTRAL))
    assert ("A100-80GB", 2, None) in found
    assert ("A100-80GB", 2, "fp8") not in found  # fits as it is
    assert ("L4", 4, "fp8") in found
    assert ("H100", 1, "fp8") in found
    assert ("A100-80GB", 1, "fp8") not in found  # has no fp8 arithmetic, and was not asked for


def test_it_never_takes_the_checkpoints_place_unasked() -> None:
    found = plan(MIXTRAL)
    assert found.choice is not None
    assert found.candidates[0].altered is not None  # cheaper, and shown
    assert found.choice.altered is None
    assert (found.choice.gpu, found.choice.gpu_count) == ("A100-80GB", 2)
    assert all(one.altered for one in found.candidates[: found.chosen])


def test_it_is_chosen_where_nothing_else_fits() -> None:
    found = plan(MIXTRAL, offers=[offer("H100", 1, "6")])
    assert found.choice is not None
    assert found.choice.quantization == "fp8"
    assert found.choice.repository is None
    assert "while loading" in (found.choice.altered or "")


def test_a_known_repository_is_one_of_them() -> None:
    found = plan(LLAMA_8B, offers=[offer("L4", 1, "0.7")], variants=(AWQ,), max_model_len=65536)
    kinds = {(one.quantization, one.repository) for one in found.candidates}
    assert ("awq", AWQ.repository) in kinds


def test_none_leaves_only_the_checkpoint() -> None:
    assert {kind for *_, kind in served(plan(MIXTRAL, wanted="none"))} == {None}


def test_a_method_asked_for_is_all_there_is_and_ampere_may_store_it() -> None:
    found = served(plan(MIXTRAL, wanted="fp8"))
    assert {kind for *_, kind in found} == {"fp8"}
    assert ("A100-80GB", 1, "fp8") in found


def test_a_quantized_checkpoint_is_its_own_answer_to_its_method() -> None:
    assert {one.altered for one in plan(MIXTRAL_AWQ, wanted="awq").candidates} == {None}
    assert {one.altered for one in plan(MIXTRAL_AWQ).candidates} == {None}


@pytest.mark.parametrize(
    ("model", "engine", "wanted"),
    [(LLAMA_8B, VLLM, "gptq"), (MIXTRAL_AWQ, VLLM, "fp8"), (PHIXTRAL, OURS, "fp8")],
)
def test_a_method_nobody_has_is_refused(
    model: ModelSpec, engine: EngineChoice, wanted: str
) -> None:
    with pytest.raises(InputError, match=f"no {wanted} weights of {model.id}"):
        plan(model, wanted=wanted, engine=engine)


def test_only_vllm_quantizes() -> None:
    assert [one.altered for one in alternatives(PHIXTRAL, "transformers", "auto", (AWQ,))] == [None]


def test_the_table_of_variants_names_models_and_methods_we_know() -> None:
    for model in bundled_models():
        for variant in load_variants(model.id):
            assert model.quantization is None
            assert variant.source
            assert variant.quantization.bits < 16
            own = MODELS.get(variant.repository)
            if own is not None:
                assert own.quantization == variant.quantization
    assert [one.quantization.method for one in load_variants("qwen/qwen3-32b")] == ["fp8"]
    assert load_variants("nobody/nothing") == ()


def test_methods_are_the_command_lines() -> None:
    assert METHODS[:2] == ("auto", "none")


def test_the_checkpoints_own_size_says_nothing_of_its_alternatives() -> None:
    read = LLAMA_8B._replace(checkpoint_bytes=LLAMA_8B.parameters.total * 2)
    for one, same in zip(
        alternatives(read, "vllm", "auto", (AWQ,)),
        alternatives(LLAMA_8B, "vllm", "auto", (AWQ,)),
        strict=True,
    ):
        assert weights_bytes(one.model, 1) == weights_bytes(same.model, 1)
