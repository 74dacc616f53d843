"""Which engine serves a model: vLLM as it stands, our transformers fallback, or none.

Pure rules on the model's facts. The list of architectures that vLLM implements is data handed
in; this module knows only how a config can contradict its own architecture's name.
"""

from collections.abc import Set as AbstractSet

from skyserve_llm.types import EngineChoice, ModelSpec

_FOREIGN_MODEL_TYPES = {"phi-msft"}
"""Model types whose code lives in the repository: their tensors are not vLLM's."""


def choose_engine(
    model: ModelSpec, vllm_architectures: AbstractSet[str], vllm_version: str
) -> EngineChoice:
    """Name the engine and say why, in one line."""
    if model.model_type in _FOREIGN_MODEL_TYPES:
        detail = f"declares {model.architecture} but is '{model.model_type}'"
        if model.num_experts:
            detail += f" with {model.num_experts} experts"
        return EngineChoice(
            name="transformers",
            reason=f"{detail}, custom code that vLLM {vllm_version} does not serve",
        )
    if model.architecture not in vllm_architectures:
        return EngineChoice(
            name="transformers",
            reason=f"vLLM {vllm_version} has no {model.architecture}; "
            "the transformers engine runs the model's own code",
        )
    return EngineChoice(name="vllm", reason=f"vLLM {vllm_version} serves {model.architecture}")
