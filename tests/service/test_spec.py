"""Which candidate of a plan is run, under which name, with which flags and disk."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyserve_llm.errors import InputError, NoFeasiblePlanError
from skyserve_llm.service.spec import (
    check_replicas,
    choose,
    engine_args,
    is_name,
    place,
    scaled,
    service_name,
    service_spec,
    unpriced,
)
from skyserve_llm.service.types import Place
from skyserve_llm.types import EngineArgs, ThroughputEstimate, Workload
from tests.service.plans import CANDIDATE, candidate, plan

SPOT = candidate(rank=1, spot=True)
ON_DEMAND = candidate(rank=2, spot=False, price_per_hour=Decimal("0.7065"))
DEARER = candidate(rank=3, spot=False, price_per_hour=Decimal("1.2000"))


def test_a_plan_becomes_a_service_of_its_chosen_candidate() -> None:
    spec = service_spec(plan(workload=Workload(max_model_len=8192, replicas=2)))

    assert spec.name == "qwen2-5-7b-instruct"
    assert (spec.model, spec.revision) == (
        "Qwen/Qwen2.5-7B-Instruct",
        "a09a35458c702b33eeacc393d103063234e8bc28",
    )
    assert spec.engine == "vllm"
    assert (spec.replicas, spec.use_spot) == (2, True)
    assert spec.places == (
        Place(
            cloud="gcp",
            region="us-central1",
            zone="us-central1-a",
            instance_type="g2-standard-4",
            accelerator="L4",
            accelerator_count=1,
        ),
    )
    assert (spec.price_per_hour, spec.price_source) == (Decimal("0.2194"), "catalog")
    assert spec.load_balancing_policy == "round_robin"
    assert spec.readiness_probe.path == "/v1/health"
    assert spec.secrets == ("HF_TOKEN", "LLMBUDGET_API_KEY")


def test_what_is_asked_for_goes_before_the_plan() -> None:
    spec = service_spec(
        plan([SPOT, ON_DEMAND]), name="chat", replicas=3, use_spot=False, engine="simulated"
    )

    assert (spec.name, spec.replicas, spec.engine) == ("chat", 3, "simulated")
    assert (spec.use_spot, spec.price_per_hour) == (False, Decimal("0.7065"))


def test_the_best_ranked_candidate_of_the_asked_kind_is_chosen() -> None:
    of_both_kinds = plan([DEARER, SPOT, ON_DEMAND], chosen=1)

    assert choose(of_both_kinds) is SPOT
    assert choose(of_both_kinds, use_spot=True) is SPOT
    assert choose(of_both_kinds, use_spot=False) is ON_DEMAND


def test_a_kind_that_the_plan_does_not_hold_is_an_error_with_a_way_out() -> None:
    with pytest.raises(InputError, match="no on-demand candidate") as caught:
        choose(plan([SPOT]), use_spot=False)
    assert caught.value.hint is not None
    assert "--on-demand" in caught.value.hint


def test_a_plan_without_a_choice_cannot_be_run() -> None:
    with pytest.raises(NoFeasiblePlanError, match="found nothing"):
        service_spec(plan([], chosen=None))


def test_a_model_that_no_engine_serves_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError, match=r"no engine serves Qwen.*: it is a vision tower"):
        service_spec(plan(engine=None, engine_reason="it is a vision tower"))


def test_the_flags_are_those_that_the_plan_rests_on() -> None:
    flags = engine_args(plan(), candidate(tensor_parallel_size=2), "vllm")

    assert flags == (
        ("max-model-len", "8192"),
        ("tensor-parallel-size", "2"),
        ("gpu-memory-utilization", "0.92"),
    )


def test_every_knob_that_was_turned_becomes_a_flag() -> None:
    turned = EngineArgs(
        gpu_memory_utilization=0.85,
        max_num_batched_tokens=4096,
        max_num_seqs=64,
        kv_cache_dtype="fp8",
        enforce_eager=True,
        dtype="float16",
    )
    flags = dict(engine_args(plan(engine_args=turned), CANDIDATE, "vllm"))

    assert flags["gpu-memory-utilization"] == "0.85"
    assert flags["max-num-batched-tokens"] == "4096"
    assert flags["max-num-seqs"] == "64"
    assert flags["kv-cache-dtype"] == "fp8"
    assert flags["dtype"] == "float16"
    assert flags["enforce-eager"] is None
    assert "enforce-eager" in flags


def test_a_checkpoints_own_quantization_is_left_for_vllm_to_read() -> None:
    own = engine_args(plan(quantization="awq"), candidate(quantization="awq"), "vllm")
    at_load = engine_args(plan(), candidate(quantization="fp8"), "vllm")

    assert "quantization" not in dict(own)
    assert ("quantization", "fp8") in at_load


def test_an_engine_that_is_not_vllm_gets_none_of_vllms_own_flags() -> None:
    assert engine_args(plan(), CANDIDATE, "simulated") == (
        ("max-model-len", "8192"),
        ("ttft-ms", "300.000"),
        ("tpot-ms", "52.000"),
    )


def test_an_unknown_forecast_is_not_made_up() -> None:
    unknown = ThroughputEstimate(
        ttft_ms=None, tpot_ms=None, output_tokens_per_s=None, basis="modelled"
    )
    args = engine_args(plan(), candidate(throughput=unknown), "simulated")
    assert args == (("max-model-len", "8192"),)


def test_the_disk_holds_what_is_downloaded_not_what_is_loaded() -> None:
    as_it_is = service_spec(plan())
    # Half the bytes in memory, the same 16-bit checkpoint on disk.
    half = replace(CANDIDATE.memory, weights_bytes=CANDIDATE.memory.weights_bytes // 2)
    at_load = service_spec(plan([candidate(quantization="fp8", memory=half)]))
    in_the_checkpoint = service_spec(
        plan([candidate(quantization="fp8", memory=half)], quantization="fp8")
    )

    assert at_load.disk_size_gib == as_it_is.disk_size_gib
    assert in_the_checkpoint.disk_size_gib < as_it_is.disk_size_gib


def test_a_large_checkpoint_is_given_time_to_come_down() -> None:
    memory = CANDIDATE.memory
    large = candidate(tensor_parallel_size=8, gpu_count=8)

    small_delay = service_spec(plan()).readiness_probe.initial_delay_seconds
    large_delay = service_spec(plan([large])).readiness_probe.initial_delay_seconds

    assert small_delay == 1200 + -(-memory.weights_bytes // 100_000_000)
    assert large_delay > small_delay


def test_an_aws_zone_id_is_not_a_zone_that_a_yaml_can_name() -> None:
    priced_at = candidate(cloud="aws", region="us-east-1", zone="use1-az4")
    local_zone = candidate(cloud="aws", region="us-west-2", zone="usw2-lax1-az1")
    named = candidate(cloud="aws", region="us-east-1", zone="us-east-1a")

    assert place(priced_at).zone is None
    assert place(local_zone).zone is None
    assert place(named).zone == "us-east-1a"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3-1-8b-instruct"),
        ("mlabonne/phixtral-4x2_8", "phixtral-4x2-8"),
        ("01-ai/34B", "llm-34b"),
        ("./models/my model/", "my-model"),
        ("org/---", "llm"),
    ],
)
def test_a_service_is_named_after_its_model(model: str, name: str) -> None:
    assert service_name(model) == name


@settings(deadline=None)
@given(st.text(max_size=120))
def test_every_model_gives_a_name_that_skyserve_takes(model: str) -> None:
    assert is_name(service_name(model))


@pytest.mark.parametrize(
    "name", ["", "Chat", "1st", "a_b", "a.b", "-a", "a-", "a" * 41, "a*", "a\n"]
)
def test_names_that_skyserve_or_a_folder_would_not_like_are_refused(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(InputError, match="cannot be the name of a service"):
        service_spec(plan(), name=name)


def test_a_service_needs_a_replica() -> None:
    with pytest.raises(InputError, match="one replica at least"):
        check_replicas(0)
    assert scaled(service_spec(plan()), 5).replicas == 5


def test_a_service_on_other_machines_has_no_price() -> None:
    spec = unpriced(service_spec(plan()))
    assert (spec.price_per_hour, spec.price_source) == (None, None)


def test_the_planner_bills_for_the_disk_that_is_rented() -> None:
    from skyserve_llm.planner.cost import disk_size_gib

    assert service_spec(plan()).disk_size_gib == disk_size_gib(CANDIDATE.memory.weights_bytes)


def test_the_replicas_pins_hold_the_vllm_of_the_package() -> None:
    root = Path(__file__).parents[2]
    (extra,) = [
        line.split("vllm==")[1].split('"')[0]
        for line in (root / "pyproject.toml").read_text("utf-8").splitlines()
        if line.startswith("vllm = ")
    ]
    pins = (root / "requirements" / "replica-vllm.txt").read_text("utf-8").splitlines()
    assert f"vllm=={extra}" in pins
