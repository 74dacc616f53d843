"""What a config's ``quantization_config`` says of its linear weights.

The names are vLLM's (vllm/model_executor/layers/quantization/__init__.py), and so are the rules
by which it tells one method from another. A method that is not here is refused: its weights would
be counted wrong.
"""

from collections.abc import Mapping
from typing import Any

from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.types import Quantization

_GROUPED = {"awq", "gptq", "awq_marlin", "gptq_marlin", "auto-round", "inc"}
_EIGHT_BITS = {"fp8", "fbgemm_fp8", "experts_int8", "mxfp8", "deepseek_v4_fp8"}
_MODELOPT = {
    "FP8": ("modelopt", 8, None),
    "FP8_PER_CHANNEL_PER_TOKEN": ("modelopt", 8, None),
    "FP8_PB_WO": ("modelopt", 8, None),
    "NVFP4": ("modelopt_fp4", 4, 16),
    "MXFP8": ("modelopt_mxfp8", 8, 32),
}
"""ModelOpt's ``quant_algo`` → (vLLM's method, bits, group)."""


def quantization(config: ModelConfig) -> Quantization | None:
    """The checkpoint's own quantization; None where it has none.

    Raises:
        InputError: an unknown method, or bits that the method cannot have.
    """
    raw = config.get("quantization_config")
    if raw is None:
        raw = config.get("compression_config")  # compressed-tensors' older name for it
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        raise config.error("quantization_config", raw, "an object")
    method = raw.get("quant_method")
    if method is None and raw.get("producer"):
        method = "modelopt"
    if not isinstance(method, str):
        raise config.error("quantization_config.quant_method", method, "a method that vLLM loads")
    method = method.lower().replace("compressed_tensors", "compressed-tensors")
    if method == "compressed-tensors":
        return _compressed_tensors(config, raw)
    if method in _GROUPED:
        return Quantization(
            method=method, bits=_bits(config, raw), group_size=_group(config, raw, 128)
        )
    if method == "bitsandbytes":
        return _bitsandbytes(config, raw)
    if method.startswith("modelopt"):
        return _modelopt(config, raw, method)
    if method in _EIGHT_BITS:
        return Quantization(
            method=method,
            bits=8,
            group_size=_block(config, raw),
            skips_attention=_skips_attention(config, raw),
        )
    if method in ("mxfp4", "gpt_oss_mxfp4"):  # one 8-bit scale for 32 values
        return Quantization(method="mxfp4", bits=4, group_size=32, experts_only=True)
    if method == "gguf":
        return Quantization(method=method, bits=_bits(config, raw))
    raise config.error("quantization_config.quant_method", method, "a method that vLLM loads")


def _bitsandbytes(config: ModelConfig, raw: Mapping[str, Any]) -> Quantization:
    """NF4 in blocks of 64, or LLM.int8() with a scale a row."""
    four = raw.get("load_in_4bit")
    if four is None:
        four = raw.get("bits") == 4
    if not isinstance(four, bool):
        raise config.error("quantization_config.load_in_4bit", four, "true or false")
    return Quantization(
        method="bitsandbytes", bits=4 if four else 8, group_size=64 if four else None
    )


def _modelopt(config: ModelConfig, raw: Mapping[str, Any], method: str) -> Quantization:
    """``quant_algo`` stands in the object itself, or one deeper as ModelOpt writes its own file."""
    inner = raw.get("quantization")
    algorithm = raw.get("quant_algo") or (
        inner.get("quant_algo") if isinstance(inner, Mapping) else None
    )
    if algorithm is None and method in ("modelopt", "modelopt_fp4", "modelopt_mxfp8"):
        algorithm = {"modelopt": "FP8", "modelopt_fp4": "NVFP4", "modelopt_mxfp8": "MXFP8"}[method]
    if str(algorithm).upper() == "MIXED_PRECISION":
        return _mixed(config, raw if raw.get("quantized_layers") else inner)
    return _algorithm(config, algorithm)


def _mixed(config: ModelConfig, raw: Any) -> Quantization:
    """Layers each with an algorithm of its own; what they take together their headers tell.

    The narrowest stands for all, because only it is packed.
    """
    layers = raw.get("quantized_layers") if isinstance(raw, Mapping) else None
    if not isinstance(layers, Mapping) or not all(isinstance(v, Mapping) for v in layers.values()):
        raise config.error("quantization_config.quantized_layers", layers, "a map of layers")
    stated = {str(layer.get("quant_algo")).removeprefix("W4A16_") for layer in layers.values()}
    found = [_algorithm(config, name) for name in sorted(stated)]
    if not found:
        raise config.error("quantization_config.quantized_layers", layers, "a map of layers")
    return min(found, key=lambda one: one.bits)._replace(method="modelopt_mixed")


def _algorithm(config: ModelConfig, name: object) -> Quantization:
    found = _MODELOPT.get(str(name).upper())
    if found is None:
        known = ", ".join(sorted(_MODELOPT))
        raise config.error("quantization_config.quant_algo", name, f"one of {known}")
    return Quantization(*found)


def _compressed_tensors(config: ModelConfig, raw: Mapping[str, Any]) -> Quantization:
    groups = raw.get("config_groups")
    weights: Any = raw
    if groups is not None:
        first = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
        stated = first.get("weights") if isinstance(first, Mapping) else None
        if not isinstance(stated, Mapping):
            raise config.error("quantization_config.config_groups", groups, "groups with weights")
        weights = {"bits": stated.get("num_bits"), "group_size": stated.get("group_size")}
    ignored = raw.get("ignore") or ()
    if not isinstance(ignored, list | tuple):
        raise config.error("quantization_config.ignore", ignored, "a list of names")
    return Quantization(
        method="compressed-tensors",
        bits=_bits(config, weights),
        group_size=_group(config, weights, None),
        experts_only=any("self_attn" in str(pattern) for pattern in ignored),
    )


def _bits(config: ModelConfig, raw: Mapping[str, Any]) -> int:
    value = raw.get("bits", raw.get("w_bit"))
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 16:
        raise config.error("quantization_config.bits", value, "a number of bits")
    return value


def _skips_attention(config: ModelConfig, raw: Mapping[str, Any]) -> bool:
    """Whether attention's projections are among the modules left as they were."""
    skipped = raw.get("modules_to_not_convert") or ()
    if not isinstance(skipped, list | tuple):
        raise config.error("quantization_config.modules_to_not_convert", skipped, "a list of names")
    return any("self_attn" in str(name) for name in skipped)


def _block(config: ModelConfig, raw: Mapping[str, Any]) -> int | None:
    """The side of the squares that share a scale (DeepSeek's fp8); None for one scale a tensor."""
    block = raw.get("weight_block_size")
    if block is None:
        return None
    if not isinstance(block, list | tuple) or len(block) != 2 or block[0] != block[1]:
        raise config.error("quantization_config.weight_block_size", block, "two equal sides")
    return _group(config, {"group_size": block[0]}, None)


def _group(config: ModelConfig, raw: Mapping[str, Any], default: int | None) -> int | None:
    """Weights that share a scale; None for one scale a channel, which is also written -1."""
    value = raw.get("group_size", raw.get("q_group_size", default))
    if value is None or value == -1:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1 << 20:
        raise config.error("quantization_config.group_size", value, "a group's size, or -1")
    return value
