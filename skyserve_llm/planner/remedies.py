"""What would make a model fit on cards that do not hold it as asked: one change at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from skyserve_llm.planner.placement import Placement, context_length, place
from skyserve_llm.planner.support import GPU_COUNTS
from skyserve_llm.types import EngineArgs, GpuSpec, Rejection, Served, Workload


def find_remedies(
    served: Served,
    others: Sequence[Served],
    gpu: GpuSpec,
    gpu_count: int,
    engine: EngineArgs,
    workload: Workload,
) -> Iterator[str]:
    """Single changes under which the placement fits, as flags of `fit`; a repository stands for
    itself. ``others`` is what may be served in place of ``served``."""

    def outcome(
        what: Served = served, number: int = gpu_count, args: EngineArgs = engine,
        load: Workload = workload,
    ) -> Placement | Rejection:  # fmt: skip
        return place(what, gpu, number, args, load)

    def fits(**changes: object) -> bool:
        return isinstance(outcome(**changes), Placement)  # type: ignore[arg-type]

    found = outcome()
    longest = context_length(served.model, workload)
    shorter = found.max_model_len_that_fits if isinstance(found, Rejection) else None
    if shorter and shorter < longest and fits(load=replace(workload, max_model_len=shorter)):
        yield f"--max-model-len {shorter}"
    fewer = _most(lambda n: fits(load=replace(workload, concurrency=n)), workload.concurrency - 1)
    if fewer:
        yield f"--concurrency {fewer}"
    if engine.dtype is None and fits(args=replace(engine, dtype="float16")):
        yield "--dtype half"
    if engine.kv_cache_dtype == "auto" and fits(args=replace(engine, kv_cache_dtype="fp8")):
        yield "--kv-cache-dtype fp8"
    for other in others:
        if other.model.quantization != served.model.quantization and fits(what=other):
            yield other.repository or "--quantization fp8"
    for number in GPU_COUNTS:
        if number > gpu_count and fits(number=number):
            yield f"--gpus {gpu.name}:{number}"
            return


def _most(holds: Callable[[int], bool], limit: int) -> int:
    """The largest number up to ``limit`` for which ``holds``, which fails from some number on;
    0 where it holds for none."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
