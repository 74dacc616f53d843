"""The load, the engine's knobs, and the plan document itself.

``Plan`` and what hangs below it *are* the document that ``plan -o json`` prints: renaming a field
here is a breaking change.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from skyserve_llm.types.market import SUSPECT_MARKS
from skyserve_llm.types.model import EngineName

Basis = Literal["measured", "modelled", "extrapolated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The load a plan must carry. ``max_model_len`` None means the model's own limit."""

    max_model_len: int | None = None
    concurrency: int = 8
    input_tokens: int = 512
    output_tokens: int = 256
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineArgs:
    """vLLM's own knobs under vLLM's own names; None is vLLM's default for the card.

    ``quantization`` is ``auto`` (the checkpoint as it is, and beside it what would be smaller),
    ``none`` (only as it is) or a method. ``vllm_version`` is the release whose accounting the
    estimate follows; the default is the one the replica installs (requirements/).
    """

    gpu_memory_utilization: float = 0.92
    tensor_parallel_size: int | None = None
    pipeline_parallel_size: int = 1
    max_num_batched_tokens: int | None = None
    max_num_seqs: int | None = None
    kv_cache_dtype: str = "auto"
    block_size: int | None = None
    enforce_eager: bool = False
    quantization: str = "auto"
    dtype: str | None = None
    vllm_version: str = "0.32.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Bytes per GPU, as vLLM logs them per rank.

    ``kv_cache_low_bytes`` and ``kv_cache_high_bytes`` are the band that what vLLM will log is
    expected in: the weights are known to the megabyte, what is taken beside them is not.
    """

    weights_bytes: int
    kv_cache_bytes: int
    kv_cache_bytes_per_token: int
    activation_bytes: int
    overhead_bytes: int
    per_gpu_capacity_bytes: int
    kv_cache_low_bytes: int = 0
    kv_cache_high_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputEstimate:
    """At the stated concurrency; None where the card's bandwidth or compute is unknown."""

    ttft_ms: float | None
    tpot_ms: float | None
    output_tokens_per_s: float | None
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthlyBill:
    """USD for 730 hours of all replicas; None where no rate is known, and then not in total.

    ``disk`` is the replicas' boot disks, ``controller`` SkyServe's machine and its disk (zero
    where the API server does its work), ``egress`` the output tokens on their way to clients.
    """

    compute: Decimal
    disk: Decimal | None
    controller: Decimal | None
    egress: Decimal | None
    total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to serve the model: where, on what, how well and for how much.

    ``price_marks`` say what is wrong with the price (``sources/suspicion.py``). ``altered`` says
    how what is served differs from the checkpoint that was asked for (quantized on the way in,
    another repository); None where it is that checkpoint. ``repository`` is then what to load,
    None where it is the plan's own model.
    """

    rank: int
    cloud: str
    region: str
    zone: str | None
    instance_type: str
    gpu: str
    accelerator: str
    gpu_count: int
    tensor_parallel_size: int
    quantization: str | None
    spot: bool
    price_per_hour: Decimal
    price_as_of: date | None
    price_source: str
    price_marks: tuple[str, ...] = ()
    memory: MemoryEstimate
    kv_cache_tokens: int
    max_concurrency: float
    throughput: ThroughputEstimate
    month: MonthlyBill
    usd_per_million_output_tokens: Decimal | None
    pipeline_parallel_size: int = 1
    repository: str | None = None
    altered: str | None = None

    @property
    def suspect(self) -> bool:
        return not SUSPECT_MARKS.isdisjoint(self.price_marks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A GPU and count that cannot serve the model, and why.

    ``shortfall_bytes`` is what each GPU lacks; None where memory is not the reason.
    ``max_model_len_that_fits`` is the longest context that one request could have there; None
    where there is none, or memory is not the reason.
    """

    gpu: str
    gpu_count: int
    reason: str
    shortfall_bytes: int | None = None
    max_model_len_that_fits: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """The model as the plan document shows it.

    ``max_new_tokens`` ends an answer whose request names no end; None: the context does.
    ``trust_remote_code`` where the engine must run code from the model's repository.
    """

    id: str
    revision: str | None
    architecture: str
    model_type: str
    parameters: int
    active_parameters: int
    dtype: str
    quantization: str | None
    source: str
    engine: EngineName | None
    engine_reason: str
    max_new_tokens: int | None = None
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceSnapshot:
    """Which table the prices came from, and how old each cloud's are (None: undated).

    ``excluded`` are the clouds and regions that the user's settings leave out.
    """

    snapshot: str
    as_of: dict[str, date | None]
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The answer: candidates from cheapest to dearest month, and what was turned down.

    ``chosen`` is the first candidate whose price is not suspect; the first of all where every
    price is, or where suspect ones were allowed.
    """

    model: ModelSummary
    workload: Workload
    engine_args: EngineArgs
    prices: PriceSnapshot
    chosen: int | None
    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]

    @property
    def choice(self) -> Candidate | None:
        return None if self.chosen is None else self.candidates[self.chosen]
