"""A plan becomes a ``ServiceSpec``: which candidate, what name, which flags, how big a disk.

Pure functions on values. Knows the planner's nouns and vLLM's flags; nothing of YAML, of files
or of what is running.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import replace

from skyserve_llm.errors import InputError, NoFeasiblePlanError
from skyserve_llm.planner.cost import disk_size_gib
from skyserve_llm.planner.ranking import choose as first_to_trust
from skyserve_llm.service.types import Place, ReadinessProbe, ServiceSpec
from skyserve_llm.types import Candidate, EngineName, Plan

API_KEY = "LLMBUDGET_API_KEY"
HF_TOKEN = "HF_TOKEN"  # noqa: S105 - the name of a variable, not a token
DEFAULT_SECRETS = (HF_TOKEN, API_KEY)

# Narrower than SkyServe's own pattern, which lets `_` and `.` through: it stores `a-b` and `a_b`
# in one folder, and the name is also a folder of ours.
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
# SkyServe appends `-<replica id>`, SkyPilot a user hash; 63 is the limit of a host name.
_NAME_LIMIT = 40

# Weights come down at 0.1-1 GB/s and are then loaded: count on the slow end, because a replica
# that misses the delay is thrown away and paid for again.
_DOWNLOAD_BYTES_PER_SECOND = 100_000_000

# The price tables hold AWS zones by id (`use1-az1`), the same in every account. A YAML names
# zones as one account sees them (`us-east-1a`), and only SkyPilot can tell which is which.
_AWS_ZONE_ID = re.compile(r"[a-z]+\d+-([a-z]+\d+-)?az\d+")


def service_spec(
    plan: Plan,
    *,
    name: str | None = None,
    replicas: int | None = None,
    use_spot: bool | None = None,
    engine: EngineName | None = None,
    secrets: tuple[str, ...] = DEFAULT_SECRETS,
) -> ServiceSpec:
    """What to run for ``plan``; None leaves the choice to the plan.

    Raises:
        InputError: no engine serves the model, no candidate of that kind, a name that SkyServe
            would refuse, or fewer than one replica.
        NoFeasiblePlanError: the plan holds no candidate at all.
    """
    chosen_engine = engine or plan.model.engine
    if chosen_engine is None:
        raise InputError(
            f"no engine serves {plan.model.id}: {plan.model.engine_reason}",
            hint="`llmbudget models` lists the architectures that can be served",
        )
    candidate = choose(plan, use_spot=use_spot)
    checkpoint = checkpoint_bytes(plan, candidate)
    return ServiceSpec(
        name=check_name(name if name is not None else service_name(plan.model.id)),
        model=candidate.repository or plan.model.id,
        revision=_revision(plan, candidate, chosen_engine),
        engine=chosen_engine,
        engine_args=engine_args(plan, candidate, chosen_engine),
        replicas=check_replicas(plan.workload.replicas if replicas is None else replicas),
        use_spot=candidate.spot,
        places=(place(candidate),),
        # The planner's own function: the disk that is rented is the disk that was billed for.
        disk_size_gib=disk_size_gib(checkpoint),
        readiness_probe=readiness_probe(checkpoint),
        secrets=secrets,
        price_per_hour=candidate.price_per_hour,
        price_source=candidate.price_source,
    )


def _revision(plan: Plan, candidate: Candidate, engine: EngineName) -> str | None:
    """The plan's, unless nothing is downloaded or something else is: it is of one repository."""
    return None if engine == "simulated" or candidate.repository else plan.model.revision


def scaled(spec: ServiceSpec, replicas: int) -> ServiceSpec:
    """The same service with another number of replicas."""
    return replace(spec, replicas=check_replicas(replicas))


def unpriced(spec: ServiceSpec) -> ServiceSpec:
    """The same service on machines that the plan did not price: no price beats a wrong one."""
    return replace(spec, price_per_hour=None, price_source=None)


def choose(plan: Plan, *, use_spot: bool | None = None) -> Candidate:
    """The plan's choice, or its best-ranked candidate of the asked kind where they differ."""
    choice = plan.choice
    if choice is None:
        raise NoFeasiblePlanError(
            f"the plan for {plan.model.id} found nothing that holds it",
            hint=f"`llmbudget plan {plan.model.id}` shows what was turned down, and why",
        )
    if use_spot is None or choice.spot is use_spot:
        return choice
    same_kind = [candidate for candidate in plan.candidates if candidate.spot is use_spot]
    if choice.altered is None:  # something smaller never takes the checkpoint's place unasked
        same_kind = [candidate for candidate in same_kind if candidate.altered is None]
    if not same_kind:
        kind, flag = ("spot", "--spot") if use_spot else ("on-demand", "--on-demand")
        raise InputError(
            f"the plan holds no {kind} candidate",
            hint=f"plan again: `llmbudget plan {plan.model.id} {flag}`",
        )
    ranked = sorted(same_kind, key=lambda candidate: candidate.rank)
    # As the plan itself chooses: no suspect price while there is another.
    return ranked[first_to_trust(ranked) or 0]


def engine_args(
    plan: Plan, candidate: Candidate, engine: EngineName
) -> tuple[tuple[str, str | None], ...]:
    """The flags that the plan's numbers rest on, under vLLM's names without the dashes.

    vLLM's own default is left alone, except where another release may change it under the plan.
    """
    args, length = plan.engine_args, plan.workload.max_model_len
    pairs: list[tuple[str, str | None]] = []
    if length is not None:
        pairs.append(("max-model-len", str(length)))
    if engine == "simulated":
        return (*pairs, *_simulated_args(plan, candidate))
    if args.dtype is not None:
        pairs.append(("dtype", args.dtype))
    if engine != "vllm":
        return tuple(pairs)
    pairs.append(("tensor-parallel-size", str(candidate.tensor_parallel_size)))
    if candidate.pipeline_parallel_size > 1:
        pairs.append(("pipeline-parallel-size", str(candidate.pipeline_parallel_size)))
    pairs.append(("gpu-memory-utilization", f"{args.gpu_memory_utilization:g}"))
    if _quantized_at_load(plan, candidate):
        pairs.append(("quantization", candidate.quantization))
    if args.kv_cache_dtype != "auto":
        pairs.append(("kv-cache-dtype", args.kv_cache_dtype))
    if args.block_size is not None:
        pairs.append(("block-size", str(args.block_size)))
    if args.max_num_batched_tokens is not None:
        pairs.append(("max-num-batched-tokens", str(args.max_num_batched_tokens)))
    if args.max_num_seqs is not None:
        pairs.append(("max-num-seqs", str(args.max_num_seqs)))
    if args.enforce_eager:
        pairs.append(("enforce-eager", None))
    return tuple(pairs)


def _simulated_args(plan: Plan, candidate: Candidate) -> Iterator[tuple[str, str]]:
    """No GPU, so no flag that says how to use one; as quick as the plan says the real one is."""
    if plan.engine_args.max_num_seqs is not None:
        yield "max-num-seqs", str(plan.engine_args.max_num_seqs)
    forecast = candidate.throughput
    for flag, milliseconds in (("ttft-ms", forecast.ttft_ms), ("tpot-ms", forecast.tpot_ms)):
        if milliseconds is not None:
            yield flag, f"{milliseconds:.3f}"


def flag_words(spec: ServiceSpec) -> list[list[str]]:
    """The revision and ``engine_args`` as words of a command line, a list for each flag."""
    revision = [] if spec.revision is None else [["--revision", spec.revision]]
    return revision + [
        [f"--{flag}"] if value is None else [f"--{flag}", value] for flag, value in spec.engine_args
    ]


def place(candidate: Candidate) -> Place:
    """Where the candidate was priced, as a YAML can name it."""
    zone = candidate.zone
    if zone is not None and candidate.cloud == "aws" and _AWS_ZONE_ID.fullmatch(zone):
        zone = None
    return Place(
        cloud=candidate.cloud,
        region=candidate.region or None,
        zone=zone,
        instance_type=candidate.instance_type or None,
        accelerator=candidate.accelerator,
        accelerator_count=candidate.gpu_count,
    )


def checkpoint_bytes(plan: Plan, candidate: Candidate) -> int:
    """What is downloaded: the loaded weights, or more where they are quantized on the way in."""
    loaded = candidate.memory.weights_bytes * candidate.gpu_count
    if not _quantized_at_load(plan, candidate):
        return loaded
    return max(loaded, plan.model.parameters * (4 if plan.model.dtype == "float32" else 2))


def readiness_probe(checkpoint: int) -> ReadinessProbe:
    """The default probe, with time for the download on top of the initial delay."""
    probe = ReadinessProbe()
    download = math.ceil(checkpoint / _DOWNLOAD_BYTES_PER_SECOND)
    return replace(probe, initial_delay_seconds=probe.initial_delay_seconds + download)


def service_name(model: str) -> str:
    """A name SkyServe takes, from the model's own: ``Qwen/Qwen2.5-7B`` is ``qwen2-5-7b``."""
    base = model.rstrip("/").rsplit("/", 1)[-1].lower()
    name = re.sub(r"[^a-z0-9]+", "-", base).strip("-")
    if not name or not name[0].isalpha():
        name = f"llm-{name}".rstrip("-")
    return name[:_NAME_LIMIT].rstrip("-")


def is_name(name: str) -> bool:
    """Whether a service can have this name."""
    return len(name) <= _NAME_LIMIT and _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    if not is_name(name):
        raise InputError(
            f"{name!r} cannot be the name of a service",
            hint=f"lower-case letters, digits and `-`, a letter first, {_NAME_LIMIT} at most",
        )
    return name


def check_replicas(replicas: int) -> int:
    if replicas < 1:
        raise InputError(
            f"a service needs one replica at least, not {replicas}",
            hint="`llmbudget down NAME` ends a service",
        )
    return replicas


def _quantized_at_load(plan: Plan, candidate: Candidate) -> bool:
    """A quantization that no checkpoint has: vLLM must be told, and loads 16 bits."""
    if candidate.repository is not None:
        return False
    return candidate.quantization is not None and candidate.quantization != plan.model.quantization
