"""Weights on one rank, part by part, as vLLM holds them once they are loaded."""

from functools import lru_cache
from typing import NamedTuple

from skyserve_llm.types import ModelSpec, Quantization

VOCABULARY_PADDING = 64
"""vLLM rounds the vocabulary up to a multiple of this
(vllm/model_executor/layers/vocab_parallel_embedding.py, ``DEFAULT_VOCAB_PADDING_SIZE``)."""

_ZERO_POINTS = {"awq", "gptq", "awq_marlin", "gptq_marlin", "auto-round", "inc"}
_MICROSCALED = {"mxfp4": 32, "mxfp8": 32, "modelopt_mxfp8": 32, "modelopt_fp4": 16}
_SQUARES = {"fp8", "deepseek_v4_fp8"}
_GGUF_BITS = {2: 2.625, 3: 3.4375, 4: 4.5, 5: 5.5, 6: 6.5625, 8: 8.5}
"""Bits a weight of GGUF's K-quants and Q8_0, with their scales (ggml/src/ggml-common.h)."""

MXFP4_HIDDEN_MULTIPLE = 256
MXFP4_INNER_MULTIPLE = {9: 64}
MXFP4_OTHER_INNER_MULTIPLE = 128
"""What the experts' two sides are rounded up to for their kernels (vllm/model_executor/layers/
fused_moe/oracle/mxfp4.py): 256 and 128 for Marlin and TensorRT-LLM. On Hopper the Triton kernels
need no more than 64 of the inner side; the hidden one is kept at 256 because that is what vLLM
0.11 logged (gpt-oss-20b, 13.47 GiB) and 0.24 comes near (13.58)."""


class WeightParts(NamedTuple):
    """Bytes on the fullest rank; their sum is what vLLM logs as "Model loading took"."""

    embedding: int
    lm_head: int
    attention: int
    mlp: int
    experts: int
    replicated: int
    vision: int
    rope_cache: int


@lru_cache(maxsize=256)
def weight_parts(
    model: ModelSpec,
    tensor_parallel_size: int,
    pipeline_parallel_size: int = 1,
    generation: int | None = None,
) -> WeightParts:
    """Weights of each part on one rank of the fullest stage.

    Most parts split evenly over ranks, K and V projections no further than the KV heads; norms,
    routers and MLA's projections into the latent stand whole on every rank. ``generation`` of the
    cards (9: compute capability 9.x) decides about kernels and their padding; without it there is
    none.
    """
    parts, size, stages = model.parameters, tensor_parallel_size, pipeline_parallel_size
    quantization = model.quantization
    per_linear = bytes_per_quantized_weight(model)
    per_dense = 2.0 if quantization and quantization.experts_only else per_linear
    per_attention = 2.0 if quantization and quantization.skips_attention else per_dense
    attention = parts.attention / size + parts.kv_projection / kv_shards(model, size)
    embedding, head = _vocabulary(model, size)
    if stages > 1:  # the first stage has the one, the last the other
        embedding, head = max(embedding, head), 0
    mlp = (parts.mlp + parts.shared_experts) / size
    return WeightParts(
        embedding=embedding,
        lm_head=head,
        attention=round((attention * per_attention + _absorbed(model, size)) / stages),
        mlp=round(mlp * per_dense / stages),
        experts=round(_experts(model, size, per_linear, generation) / stages),
        replicated=round(parts.replicated * 2 / stages),
        vision=parts.vision * 2,
        rope_cache=model.dimensions.rope_cache_values * 2,
    )


def weights_bytes(
    model: ModelSpec,
    tensor_parallel_size: int,
    pipeline_parallel_size: int = 1,
    generation: int | None = None,
) -> int:
    """The sum of ``weight_parts``."""
    return sum(weight_parts(model, tensor_parallel_size, pipeline_parallel_size, generation))


def kv_shards(model: ModelSpec, tensor_parallel_size: int) -> int:
    """Ranks that K and V projections split over: no more than there are KV heads."""
    heads = [group.kv_heads for group in model.attention if group.kv_heads]
    return min(tensor_parallel_size, max(heads, default=1))


def bytes_per_quantized_weight(model: ModelSpec) -> float:
    """Bytes one quantized weight takes, with its share of what says how.

    Where the checkpoint's headers were read it is what they add up to, less what stays in 16 bits:
    that knows of layers left out, of mixed widths, of every kind of scale. Else by the method.
    """
    described = bytes_per_linear_weight(model.quantization)
    if model.quantization is None or model.checkpoint_bytes is None:
        return described
    parts = model.parameters
    wide = parts.embedding + parts.lm_head + parts.replicated + parts.vision
    attention, dense = parts.attention + parts.kv_projection, parts.mlp + parts.shared_experts
    if model.quantization.experts_only:
        wide += attention + dense
    elif model.quantization.skips_attention:
        wide += attention
    stored = (model.checkpoint_bytes - 2 * wide) / (parts.total - wide)
    # Outside of these it is not in 16 bits what we think is; then the method says more.
    return stored if 0 < stored <= 2 * described else described


def bytes_per_linear_weight(quantization: Quantization | None) -> float:
    """Bytes one linear weight takes with its share of scales and zero points.

    AWQ and GPTQ keep a 16-bit scale and a zero of ``bits`` for each group (4.156 bits at 4 bits
    and groups of 128); MXFP4 and MXFP8 one 8-bit scale for 32 values (OCP MX specification 1.0),
    NVFP4 one for 16; NF4 a 32-bit absmax for 64 (4.5, arXiv:2305.14314); fp8 in squares of 128 a
    float32 for each (DeepSeek-V3, arXiv:2412.19437).
    """
    if quantization is None:
        return 2.0
    method, bits, group = quantization.method, float(quantization.bits), quantization.group_size
    if method == "gguf":
        bits = _GGUF_BITS.get(quantization.bits, bits)
    elif method in _MICROSCALED:
        bits += 8 / _MICROSCALED[method]
    elif group and method in _SQUARES:
        bits += 32 / group**2
    elif group and method in _ZERO_POINTS:
        bits += (16 + quantization.bits) / group
    elif group:
        bits += (32 if method == "bitsandbytes" else 16) / group
    return bits / 8


def _vocabulary(model: ModelSpec, size: int) -> tuple[int, int]:
    """Embedding and head, in 16 bits and with the rows that round the vocabulary up."""
    parts = model.parameters
    rows = -(-model.vocab_size // VOCABULARY_PADDING) * VOCABULARY_PADDING
    padding = (rows - model.vocab_size) * model.hidden_size
    embedding = (parts.embedding + padding) / size
    head = (parts.lm_head + padding) / size if parts.lm_head else 0
    return round(embedding * 2), round(head * 2)


def _absorbed(model: ModelSpec, size: int) -> float:
    """MLA's second copy of the projection out of the latent, in 16 bits (vllm/model_executor/
    layers/attention/mla_attention.py, ``process_weights_after_loading``)."""
    if not any(group.kind == "mla" for group in model.attention):
        return 0.0
    wide = model.dimensions
    return model.num_hidden_layers * wide.latent_context * wide.latent_rank * 2 / size


def _experts(model: ModelSpec, size: int, per_linear: float, generation: int | None) -> float:
    weights = model.parameters.experts / size * per_linear
    quantization, inner = model.quantization, model.dimensions.expert
    if quantization is None or quantization.method != "mxfp4" or not generation or not inner:
        return weights
    multiple = MXFP4_INNER_MULTIPLE.get(generation, MXFP4_OTHER_INNER_MULTIPLE)
    share = inner / size
    hidden = _rounded_up(model.hidden_size, MXFP4_HIDDEN_MULTIPLE) / model.hidden_size
    return weights * hidden * _rounded_up(share, multiple) / share


def _rounded_up(value: float, multiple: int) -> float:
    return -(-value // multiple) * multiple
