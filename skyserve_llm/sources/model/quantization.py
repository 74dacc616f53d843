"""What a config's ``quantization_config`` says of its linear weights.

The names are vLLM's (vllm/model_executor/layers/quantization/__init__.py). A method that is
not here is refused: its weights would be counted wrong.
"""

from collections.abc import Mapping
from typing import Any

from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.types import Quantization

_DEFAULT_BITS = {"fp8": 8, "fbgemm_fp8": 8, "modelopt": 8, "mxfp4": 4}
_GROUPED = {"awq", "gptq", "awq_marlin", "gptq_marlin", "auto-round"}


def quantization(config: ModelConfig) -> Quantization | None:
    """The checkpoint's own quantization; None where it has none.

    Raises:
        InputError: an unknown method, or bits that the method cannot have.
    """
    raw = config.get("quantization_config")
    if raw is None:
        return None
    if not isinstance(raw, Mapping):
        raise config.error("quantization_config", raw, "an object")
    method = raw.get("quant_method")
    if method == "compressed-tensors":
        return _compressed_tensors(config, raw)
    if method in _GROUPED:
        bits = _positive(config, raw, "bits")
        # A group size of -1 means one group a channel.
        group = raw.get("group_size", 128)
        return Quantization(method=method, bits=bits, group_size=None if group == -1 else group)
    if method == "bitsandbytes":
        four = bool(raw.get("load_in_4bit", raw.get("bits") == 4))
        return Quantization(method=method, bits=4 if four else 8, group_size=64 if four else None)
    if method in _DEFAULT_BITS:
        group = 32 if method == "mxfp4" else None  # MXFP4: one 8-bit scale for 32 values
        bits = raw.get("bits", _DEFAULT_BITS[method])
        return Quantization(
            method=method, bits=bits, group_size=group, experts_only=method == "mxfp4"
        )
    raise config.error("quantization_config.quant_method", method, "a method that vLLM loads")


def _compressed_tensors(config: ModelConfig, raw: Mapping[str, Any]) -> Quantization:
    groups = raw.get("config_groups")
    weights: Any = raw
    if isinstance(groups, Mapping) and groups:
        first = next(iter(groups.values()))
        weights = first.get("weights") if isinstance(first, Mapping) else None
        if not isinstance(weights, Mapping):
            raise config.error("quantization_config.config_groups", groups, "groups with weights")
        weights = {"bits": weights.get("num_bits"), "group_size": weights.get("group_size")}
    ignored = raw.get("ignore") or ()
    return Quantization(
        method="compressed-tensors",
        bits=_positive(config, weights, "bits"),
        group_size=weights.get("group_size"),
        experts_only=any("self_attn" in str(pattern) for pattern in ignored),
    )


def _positive(config: ModelConfig, raw: Mapping[str, Any], field: str) -> int:
    value = raw.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 16:
        raise config.error(f"quantization_config.{field}", value, "a number of bits")
    return value
