"""What may be served for a model: its checkpoint as it is, and what is smaller in its place.

vLLM can quantize 16-bit weights to fp8 while it loads them, and for some models there are
repositories with quantized weights. Pure rules; which repositories there are is data handed in.
"""

from collections.abc import Sequence

from skyserve_llm.errors import InputError
from skyserve_llm.planner.memory.card import compute_capability
from skyserve_llm.planner.support import NATIVE_FP8_CAPABILITY
from skyserve_llm.types import EngineName, GpuSpec, ModelSpec, Quantization, Served, Variant

METHODS = ("auto", "none", "fp8", "awq", "gptq", "compressed-tensors", "modelopt")
"""What ``--quantization`` takes: ``auto`` considers all that is known, ``none`` only the
checkpoint as it is, a method only what is quantized so."""

ON_THE_FLY = Quantization(method="fp8", bits=8)
"""vLLM's ``--quantization fp8``: one scale a tensor, embeddings and head stay in 16 bits."""

_SAME = {
    "awq": {"awq", "awq_marlin"}, "gptq": {"gptq", "gptq_marlin", "auto-round", "inc"},
    "fp8": {"fp8", "fbgemm_fp8", "modelopt", "deepseek_v4_fp8"},
}  # fmt: skip


def alternatives(
    model: ModelSpec, engine: EngineName | None, wanted: str, variants: Sequence[Variant]
) -> tuple[Served, ...]:
    """What to place, the checkpoint as it is first where it is among them.

    Only vLLM has kernels for quantized weights; for any other engine the checkpoint stands alone.

    Raises:
        InputError: a method was asked for that nothing known of this model has.
    """
    as_it_is = Served(model)
    if wanted == "none" or (wanted == "auto" and (engine != "vllm" or model.quantization)):
        return (as_it_is,)
    smaller: list[Served] = []
    if model.quantization is None and engine == "vllm":
        smaller.append(
            Served(_quantized(model, ON_THE_FLY), altered="quantized to fp8 while loading")
        )
        smaller += [
            Served(
                _quantized(model, variant.quantization),
                repository=variant.repository,
                altered=f"another repository, {variant.quantization.method}",
            )
            for variant in variants
        ]
    if wanted == "auto":
        return (as_it_is, *smaller)
    found = tuple(one for one in (as_it_is, *smaller) if _is(one.model.quantization, wanted))
    if not found:
        raise InputError(
            f"no {wanted} weights of {model.id} are known"
            + ("" if engine == "vllm" else f", and the engine is {engine or 'none'}"),
            hint="name the quantized repository itself, or use --quantization auto",
        )
    return found


def is_offered(served: Served, gpu: GpuSpec, wanted: str) -> bool:
    """Whether an alternative is worth showing on the card: unless it was asked for by name, fp8
    only where the card computes in it."""
    if served.altered is None or wanted != "auto" or not _is(served.model.quantization, "fp8"):
        return True
    capability = compute_capability(gpu)
    return capability is not None and capability >= NATIVE_FP8_CAPABILITY


def _quantized(model: ModelSpec, quantization: Quantization) -> ModelSpec:
    """The same model stored otherwise: what its own files take says nothing of that."""
    return model._replace(quantization=quantization, checkpoint_bytes=None)


def _is(quantization: Quantization | None, wanted: str) -> bool:
    return quantization is not None and quantization.method in _SAME.get(wanted, {wanted})
