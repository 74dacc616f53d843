"""Plans to make services of, with only what a test cares about left to say."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from skyserve_llm.types import (
    Candidate,
    EngineArgs,
    MemoryEstimate,
    ModelSummary,
    MonthlyBill,
    Plan,
    PriceSnapshot,
    ThroughputEstimate,
    Workload,
)

MODEL = ModelSummary(
    id="Qwen/Qwen2.5-7B-Instruct",
    revision="a09a35458c702b33eeacc393d103063234e8bc28",
    architecture="Qwen2ForCausalLM",
    model_type="qwen2",
    parameters=7_615_616_512,
    active_parameters=7_615_616_512,
    dtype="bfloat16",
    quantization=None,
    source="hub",
    engine="vllm",
    engine_reason="vLLM serves Qwen2ForCausalLM",
)

CANDIDATE = Candidate(
    rank=1,
    cloud="gcp",
    region="us-central1",
    zone="us-central1-a",
    instance_type="g2-standard-4",
    gpu="L4",
    accelerator="L4",
    gpu_count=1,
    tensor_parallel_size=1,
    quantization=None,
    spot=True,
    price_per_hour=Decimal("0.2194"),
    price_as_of=None,
    price_source="catalog",
    memory=MemoryEstimate(
        weights_bytes=15_231_233_024,
        kv_cache_bytes=4 << 30,
        kv_cache_bytes_per_token=57344,
        activation_bytes=1 << 30,
        overhead_bytes=1 << 29,
        per_gpu_capacity_bytes=22 << 30,
    ),
    kv_cache_tokens=74898,
    max_concurrency=9.1,
    throughput=ThroughputEstimate(
        ttft_ms=300.0, tpot_ms=52.0, output_tokens_per_s=150.0, basis="modelled"
    ),
    month=MonthlyBill(
        compute=Decimal("160.16"),
        disk=Decimal("10.00"),
        controller=Decimal("124.10"),
        egress=None,
        total=Decimal("294.26"),
    ),
    usd_per_million_output_tokens=Decimal("0.7500"),
)


def candidate(**changes: Any) -> Candidate:
    return replace(CANDIDATE, **changes)


def plan(
    candidates: Sequence[Candidate] = (CANDIDATE,),
    *,
    chosen: int | None = 0,
    workload: Workload | None = None,
    engine_args: EngineArgs | None = None,
    **model: Any,
) -> Plan:
    return Plan(
        model=replace(MODEL, **model),
        workload=workload or Workload(max_model_len=8192),
        engine_args=engine_args or EngineArgs(),
        prices=PriceSnapshot(snapshot="2026-11-23", as_of={"gcp": None}),
        chosen=chosen,
        candidates=tuple(candidates),
        rejected=(),
    )
