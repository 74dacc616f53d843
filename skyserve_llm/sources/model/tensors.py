"""A checkpoint's tensors, by name, type and shape → how many weights of which part it holds.

Knows how checkpoints name the parts of a model and how quantized weights are packed; reads no
file. What vLLM does not load is left out: layers for multi-token prediction, a head that is tied
to the embedding, buffers that are computed anew.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any, NamedTuple

from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.families import FAMILIES, Family
from skyserve_llm.sources.model.layers import kv_heads, num_hidden_layers
from skyserve_llm.sources.model.quantization import quantization
from skyserve_llm.types import ParameterCounts, Quantization


class Tensor(NamedTuple):
    """One tensor as a checkpoint's header states it; ``dtype`` as safetensors spells it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


class Checkpoint(NamedTuple):
    """What a checkpoint's headers tell of the weights a server loads.

    ``dtypes`` counts weights (not scales and zero points) by the type they are stored in,
    packed ones by their bits (``int4``); ``modules`` are the names its layers go by, as
    ``ModelSpec.tensor_modules``; ``key_value_rows`` how many values K and V of all layers have,
    None where they are fused with others.
    """

    parameters: ParameterCounts
    dtypes: tuple[tuple[str, int], ...]
    size_bytes: int
    modules: tuple[str, ...]
    key_value_rows: int | None
    files: int = 1


class Shape(NamedTuple):
    """What must be known of a model to read its tensors' names."""

    num_hidden_layers: int
    key_value_share: float
    tied: bool
    quantization: Quantization | None


_SCALES = re.compile(
    r"(^|[._])(weight_scale|weight_scale_inv|weight_scale_2|scale_inv|scales|input_scale|k_scale|"
    r"v_scale|qzeros|zero_point|g_idx|weight_shape|absmax|quant_map|bitsandbytes__\w+|SCB|"
    r"weight_format|amax|global_scale|pre_quant_scale)$"
)
"""Last words of tensors that say how others are quantized."""

_NOT_LOADED = re.compile(
    r"(^|\.)(inv_freq|masked_bias|rope\.freqs|num_batches_tracked|position_ids)$"
    r"|(^|\.)attn\.bias$|(^|\.)attention\.bias$"
    r"|(^|\.)mtp(\.|$)"
)

_OTHER_TOWERS = {
    "vision_tower", "vision_model", "vision_encoder", "visual", "vision", "vit", "vpm",
    "vision_backbone", "vision_adapter", "vision_language_adapter", "vision_projection",
    "multi_modal_projector", "mm_projector", "patch_merger", "pre_mm_projector_norm", "resampler",
    "embed_vision", "image_newline", "aligner", "mlp1", "audio_tower", "audio_model",
    "embed_audio", "audio", "sound_encoder",
}  # fmt: skip

_LAYER = re.compile(r"^(?P<stack>.*?\b[A-Za-z_]+)\.(?P<number>\d+)\.(?P<rest>.+)$")
_EMBEDDINGS = {
    "embed_tokens", "wte", "word_embeddings", "embed_in", "tok_embeddings", "embeddings",
    "embedding",
}  # fmt: skip
_HEADS = {"lm_head", "embed_out", "output_layer", "output"}
_ROUTERS = {
    "gate", "router", "wg", "moe_statics", "e_score_correction_bias", "expert_bias",
    "shared_expert_gate", "gate_wg", "fc1_latent_proj", "fc2_latent_proj",
}  # fmt: skip
_LATENTS = {"q_a_proj", "kv_a_proj_with_mqa", "q_a_layernorm", "kv_a_layernorm", "indexer"}
_KEYS_AND_VALUES = {"k_proj", "v_proj", "kv_proj", "key", "value"}
_FUSED = {"qkv_proj", "Wqkv", "query_key_value", "c_attn", "wqkv", "qkv", "W_pack"}
_RECURRENT = {"linear_attn", "mamba", "conv", "mixer"}
_ATTENTION = {"self_attn", "attn", "attention", "self_attention", "norm_attn_norm", *_RECURRENT}
_MLPS = {"mlp", "feed_forward", "ffn", "fc1", "fc2", "block_sparse_moe", "ff"}
_MLP_IN_MIXER = {"up_proj", "down_proj", "gate_proj"}
_NORM = re.compile(r"norm|^ln|(^|_)ln_|sinks$")


def count_checkpoint(
    raw: Mapping[str, Any], tensors: Iterable[Tensor], *, model_id: str, files: int
) -> Checkpoint:
    """Count a checkpoint's tensors, with what its config tells of how to read their names.

    A tensor that stands in several files counts once.

    Raises:
        InputError: a field that is needed for it is missing or impossible.
    """
    config = ModelConfig(raw, origin=model_id)
    family = FAMILIES.get(config.text("model_type"), Family())
    heads, keys = config.integer("num_attention_heads"), kv_heads(config)
    shape = Shape(
        num_hidden_layers=num_hidden_layers(config),
        key_value_share=2 * keys / (heads + 2 * keys),
        tied=config.tied(family.tied),
        quantization=quantization(config),
    )
    return _add_up(tensors, shape, files)


def _add_up(tensors: Iterable[Tensor], shape: Shape, files: int) -> Checkpoint:
    by_name = {tensor.name: tensor for tensor in tensors}
    counts: Counter[str] = Counter()
    dtypes: Counter[str] = Counter()
    modules: dict[str, None] = {}
    size = rows = 0
    fused = False
    for tensor in by_name.values():
        part = _part(tensor, shape)
        if part is None:
            continue
        size += tensor.size_bytes
        layer = _LAYER.match(tensor.name)
        if layer and part != "vision":
            stack = layer["stack"].rpartition(".")[2]
            modules[f"{stack}.{layer['rest'].split('.')[0]}"] = None
        if _SCALES.search(tensor.name):
            continue
        weights, stored = _unpacked(tensor, shape.quantization)
        dtypes[stored] += weights
        if part == "fused":
            fused = True
            keys = round(weights * shape.key_value_share)
            counts["kv_projection"] += keys
            counts["attention"] += weights - keys
        else:
            counts[part] += weights
            if part == "kv_projection" and tensor.name.endswith("weight"):
                rows += tensor.shape[0]
    names = ParameterCounts._fields
    return Checkpoint(
        parameters=ParameterCounts(**{name: counts[name] for name in names}),
        dtypes=tuple(dtypes.most_common()),
        size_bytes=size,
        modules=tuple(modules),
        key_value_rows=None if fused or not rows else rows,
        files=files,
    )


def _part(tensor: Tensor, shape: Shape) -> str | None:
    """Which field of ``ParameterCounts`` a tensor counts for; None: it is not loaded."""
    name = tensor.name
    if _NOT_LOADED.search(name):
        return None
    words = name.split(".")
    if not _OTHER_TOWERS.isdisjoint(words):
        return "vision"
    layer = _LAYER.match(name)
    if layer is None:
        return _outside_layers(words, tied=shape.tied)
    if int(layer["number"]) >= shape.num_hidden_layers:
        return None  # layers for multi-token prediction come after the model's own
    return _in_layer(layer["rest"].split("."))


def _outside_layers(words: list[str], *, tied: bool) -> str | None:
    *path, module = words[:-1] or words
    if _NORM.search(module):
        return "replicated"
    if not _HEADS.isdisjoint((module, *path)):
        return None if tied else "lm_head"
    if module in _EMBEDDINGS:
        return "embedding"
    return "replicated"


def _in_layer(words: list[str]) -> str:
    if not _ROUTERS.isdisjoint(words):
        return "replicated"
    if any(word.startswith("shared") for word in words):
        return "shared_experts"
    if "experts" in words or words[:2] == ["moe", "mlp"]:
        return "experts"
    if "block_sparse_moe" in words and {"input_linear", "output_linear"} & set(words):
        return "experts"
    if not _LATENTS.isdisjoint(words):
        return "replicated"
    if not _ATTENTION.isdisjoint(words):
        return _in_mixer(words)
    if _MLPS.isdisjoint(words) or _NORM.search(words[-2] if len(words) > 1 else words[-1]):
        return "replicated"
    return "mlp"


def _in_mixer(words: list[str]) -> str:
    softmax = _RECURRENT.isdisjoint(words) or "mixer" in words
    if softmax and not _KEYS_AND_VALUES.isdisjoint(words):
        return "kv_projection"
    if not _FUSED.isdisjoint(words):
        return "fused"
    if "mixer" in words and not _MLP_IN_MIXER.isdisjoint(words):
        return "mlp"
    if any(_NORM.search(word) for word in words[1:]) and _RECURRENT.isdisjoint(words):
        return "attention" if words[-1] == "sinks" else "replicated"
    return "attention"


_PACKING_BITS = {"I32": 32, "U32": 32, "U8": 8}


def _unpacked(tensor: Tensor, quantization: Quantization | None) -> tuple[int, str]:
    """(weights, the type they are stored in): packed integers hold several weights each.

    AWQ and GPTQ pack ``qweight`` and compressed-tensors ``weight_packed`` into 32-bit integers;
    MXFP4 ``blocks``, NVFP4 and bitsandbytes pack two weights into a byte.
    """
    number = prod(tensor.shape)
    packed = _PACKING_BITS.get(tensor.dtype)
    if packed is None or quantization is None or quantization.bits >= packed:
        return number, tensor.dtype
    return number * packed // quantization.bits, f"int{quantization.bits}"
