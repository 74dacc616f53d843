"""The nouns of planning: models, GPUs, offers, and the plan document itself.

Plain values: no I/O, no arithmetic beyond a sum, no formatting. Sizes are bytes, memory of a
card is MiB as its driver reports it, bandwidth GB/s (1e9), compute TFLOP/s dense, money USD as
``Decimal``. The nouns of running services live in ``service/types.py``.

Facts and wishes are named tuples, the document is dataclasses: both are immutable, but a
dataclass takes six times as long to define and `plan` pays for that on every start (6 ms of 60
when all of these were).
"""

from skyserve_llm.types.market import (
    MARKS,
    SUSPECT_MARKS,
    GpuRequest,
    GpuSpec,
    Market,
    Offer,
    Rate,
)
from skyserve_llm.types.model import (
    ArchitectureSupport,
    AttentionLayers,
    Dimensions,
    EngineChoice,
    EngineName,
    ModelSpec,
    ParameterCounts,
    Quantization,
    Served,
    Variant,
)
from skyserve_llm.types.plan import (
    Basis,
    Candidate,
    EngineArgs,
    MemoryEstimate,
    ModelSummary,
    MonthlyBill,
    Plan,
    PriceSnapshot,
    Rejection,
    ThroughputEstimate,
    Workload,
)

__all__ = [
    "MARKS",
    "SUSPECT_MARKS",
    "ArchitectureSupport",
    "AttentionLayers",
    "Basis",
    "Candidate",
    "Dimensions",
    "EngineArgs",
    "EngineChoice",
    "EngineName",
    "GpuRequest",
    "GpuSpec",
    "Market",
    "MemoryEstimate",
    "ModelSpec",
    "ModelSummary",
    "MonthlyBill",
    "Offer",
    "ParameterCounts",
    "Plan",
    "PriceSnapshot",
    "Quantization",
    "Rate",
    "Rejection",
    "Served",
    "ThroughputEstimate",
    "Variant",
    "Workload",
]
