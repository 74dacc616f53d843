"""A model in one line: its size, its engine, and the smallest card that holds it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from skyserve_llm.planner.placement import Placement, place
from skyserve_llm.types import (
    EngineArgs,
    EngineChoice,
    EngineName,
    GpuSpec,
    ModelSpec,
    Served,
    Workload,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What `llmbudget models` shows of a model.

    ``smallest_gpu`` is the one card with the least memory that holds it alone, under the load
    that `plan` assumes and the model's own context; None where no card does.
    """

    id: str
    architecture: str
    model_type: str
    parameters: int
    active_parameters: int
    max_position_embeddings: int
    dtype: str
    quantization: str | None
    engine: EngineName | None
    engine_reason: str
    smallest_gpu: str | None


def listing(model: ModelSpec, engine: EngineChoice, cards: Iterable[GpuSpec]) -> Listing:
    """``cards`` are tried from the smallest memory up."""
    return Listing(
        id=model.id,
        architecture=model.architecture,
        model_type=model.model_type,
        parameters=model.parameters.total,
        active_parameters=model.active_parameters,
        max_position_embeddings=model.max_position_embeddings,
        dtype=model.dtype,
        quantization=model.quantization.method if model.quantization else None,
        engine=engine.name,
        engine_reason=engine.reason,
        smallest_gpu=smallest_gpu(model, cards),
    )


def smallest_gpu(model: ModelSpec, cards: Iterable[GpuSpec]) -> str | None:
    """The card of the least memory that holds the model alone; None where none does."""
    served, engine, workload = Served(model=model), EngineArgs(), Workload()
    for gpu in sorted(cards, key=lambda card: (card.memory_mib, card.name)):
        if isinstance(place(served, gpu, 1, engine, workload), Placement):
            return gpu.name
    return None
