"""Whether a kind of card, and a number of them, can run a model at all: kernels and shapes.

Rules of vLLM's CUDA build, each with where it stands. Memory is no question here. Pure predicates
on facts; the answer is a reason in one line, or None where nothing stands against it.
"""

from skyserve_llm.planner.memory.card import compute_capability
from skyserve_llm.types import EngineArgs, GpuSpec, ModelSpec

GPU_COUNTS = (1, 2, 4, 8)

OLDEST_CAPABILITY = (7, 5)
"""vLLM's wheels are built with CUDA 13, whose compiler knows nothing before Turing."""

BFLOAT16_CAPABILITY = (8, 0)
LATENT_CAPABILITY = (8, 0)
"""MLA's kernels (vllm/v1/attention/backends/mla): Triton's, the least demanding, need Ampere."""

SPARSE_CAPABILITY = (9, 0)
"""DeepSeek's sparse attention: FlashMLA's and FlashInfer's kernels begin with Hopper."""

MIN_CAPABILITY = {
    "awq": (7, 5), "awq_marlin": (7, 5), "gptq": (7, 5), "gptq_marlin": (7, 5),
    "auto-round": (7, 5), "inc": (7, 5), "compressed-tensors": (7, 5), "bitsandbytes": (7, 5),
    "fp8": (7, 5), "modelopt": (8, 0), "modelopt_fp4": (7, 5), "modelopt_mxfp8": (8, 0),
    "mxfp8": (8, 0), "fbgemm_fp8": (8, 0), "experts_int8": (8, 0), "mxfp4": (8, 0),
    "deepseek_v4_fp8": (9, 0), "gguf": (7, 5),
}  # fmt: skip
"""``get_min_capability`` of each method (vllm 0.32, model_executor/layers/quantization), where the
release's own oldest card is not newer still. Without native arithmetic the weights are expanded
to 16 bits on the way into each product (Marlin): small in memory, not faster."""

NATIVE_FP8_CAPABILITY = (8, 9)
NATIVE_FP4_CAPABILITY = (10, 0)

FP8_CACHE_CAPABILITY = (8, 0)
"""FlashInfer, the only backend for it before Hopper's, expands fp8 K and V from Ampere on."""

_FP8_METHODS = {"fp8", "modelopt", "fbgemm_fp8", "modelopt_mxfp8", "mxfp8", "deepseek_v4_fp8"}
_FP4_METHODS = {"modelopt_fp4"}
_SPLIT_IN_GROUPS = {
    "awq", "awq_marlin", "gptq", "gptq_marlin", "auto-round", "inc", "compressed-tensors",
}  # fmt: skip


def unsupported(model: ModelSpec, gpu: GpuSpec, engine: EngineArgs) -> str | None:
    """Why the card cannot run the model's kernels."""
    capability = compute_capability(gpu)
    if capability is None:
        return f"{gpu.name} is not a CUDA card; the replica installs vLLM's CUDA build"
    latent = any(group.kind == "mla" for group in model.attention)
    sparse = any(group.kind == "index" for group in model.attention)
    method = model.quantization.method if model.quantization else None
    needs = [("vLLM's wheels", OLDEST_CAPABILITY)]
    if (engine.dtype or model.dtype) == "bfloat16":
        needs.append(("bfloat16", BFLOAT16_CAPABILITY))
    if sparse:
        needs.append(("sparse attention", SPARSE_CAPABILITY))
    elif latent:
        needs.append(("latent attention (MLA)", LATENT_CAPABILITY))
    if method in MIN_CAPABILITY:
        needs.append((method, MIN_CAPABILITY[method]))
    if engine.kv_cache_dtype.startswith("fp8"):
        needs.append(("an fp8 KV cache", FP8_CACHE_CAPABILITY))
    what, least = max(needs, key=lambda need: need[1])
    if capability >= least:
        return None
    return (
        f"{what} needs compute capability {least[0]}.{least[1]}, "
        f"{gpu.name} has {gpu.compute_capability}"
    )


def weight_only(model: ModelSpec, gpu: GpuSpec) -> bool:
    """Whether the card only stores the weights so small and computes in 16 bits."""
    capability, method = compute_capability(gpu), model.quantization and model.quantization.method
    if capability is None or method is None:
        return False
    if method in _FP8_METHODS:
        return capability < NATIVE_FP8_CAPABILITY
    if method in _FP4_METHODS:
        return capability < NATIVE_FP4_CAPABILITY
    return model.quantization is not None and model.quantization.bits < 8


def indivisible(model: ModelSpec, gpu_count: int, engine: EngineArgs) -> str | None:
    """Why the model cannot be split over so many cards as ``engine`` asks."""
    stages = engine.pipeline_parallel_size
    if gpu_count % stages:
        return f"{gpu_count} GPUs do not make {stages} pipeline stages"
    size = gpu_count // stages
    if engine.tensor_parallel_size not in (None, size):
        return f"tensor_parallel_size {engine.tensor_parallel_size} was asked for"
    if size not in GPU_COUNTS:
        return f"a tensor-parallel group has 1, 2, 4 or 8 GPUs, not {size}"
    if stages > model.num_hidden_layers:
        return f"{model.num_hidden_layers} layers do not make {stages} pipeline stages"
    if model.num_attention_heads % size:
        return f"{model.num_attention_heads} attention heads do not divide over {size} GPUs"
    for group in model.attention:
        # vLLM splits KV heads evenly or repeats each on the same number of ranks.
        if group.kv_heads and group.kv_heads % size and size % group.kv_heads:
            return f"{group.kv_heads} KV heads do not divide over {size} GPUs"
    return _indivisible_widths(model, size)


def _indivisible_widths(model: ModelSpec, size: int) -> str | None:
    """Inner widths must come out whole, and in whole groups or squares of shared scales: AWQ,
    GPTQ (``verify_marlin_supports_shape``) and fp8 in blocks (``validate_fp8_block_shape``)."""
    wide, quantization = model.dimensions, model.quantization
    inner = {
        "an MLP's inner width": wide.mlp // 3 if wide.mlp % 3 == 0 else wide.mlp // 2,
        "an expert's inner width": wide.expert,
    }
    for what, width in inner.items():
        if width % size:
            return f"{what} of {width:,} does not divide over {size} GPUs"
    group = quantization.group_size if quantization else None
    if quantization is None or size == 1 or not group or quantization.experts_only:
        return None
    if quantization.method not in _SPLIT_IN_GROUPS | {"fp8"}:
        return None
    # Experts have kernels for any width to fall back on; dense layers do not.
    for what, width in (
        ("an MLP's inner width", inner["an MLP's inner width"]),
        ("the width of attention's output", wide.output),
    ):
        if width and width // size % group:
            return (
                f"{what} of {width:,} over {size} GPUs does not make whole groups of {group} "
                f"({quantization.method})"
            )
    return None
