"""Reading a Hugging Face ``config.json`` field by field, refusing what cannot be true.

A missing, negative, huge or wrong-typed field raises an error that names it: a default that
changes the bill is never filled in silently. Knows the field names of config files (legacy
ones too) and nothing of what the numbers mean.
"""

from collections.abc import Mapping
from typing import Any

from skyserve_llm.errors import InputError

MAX_INTEGER = 1 << 31
"""No dimension of a transformer comes near this; a larger one is a damaged file."""

_LEGACY_NAMES = {
    "hidden_size": ("n_embd", "d_model"),
    "num_hidden_layers": ("n_layer", "n_layers"),
    "num_attention_heads": ("n_head", "n_heads"),
    "max_position_embeddings": ("n_positions", "max_seq_len", "seq_length"),
    "num_experts": ("num_local_experts", "n_routed_experts"),
    "num_experts_per_tok": ("top_k_experts", "moe_topk"),
    "torch_dtype": ("dtype",),
}

_DTYPES = {
    "float32": "float32",
    "float": "float32",
    "float16": "float16",
    "half": "float16",
    "bfloat16": "bfloat16",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp32": "float32",
}


class ModelConfig:
    """A config's language-model part, by the present names of its fields."""

    def __init__(self, raw: Mapping[str, Any], *, origin: str) -> None:
        """Take ``raw`` as parsed from JSON; ``origin`` (a file or an id) starts every error."""
        self.origin = origin
        self._outer = raw
        nested = raw.get("text_config")
        if nested is not None and not isinstance(nested, Mapping):
            raise self.error("text_config", nested, "an object")
        self._raw: Mapping[str, Any] = {**raw, **nested} if nested else raw

    def error(self, field: str, value: object, wanted: str) -> InputError:
        shown = "missing" if value is None else f"{value!r}"
        return InputError(
            f"{self.origin}: field '{field}' is {shown[:80]}, not {wanted}",
            hint="compare with the model's config.json on its hub page",
        )

    def get(self, field: str) -> Any:
        """The value of ``field`` or of one of its legacy names; None where it is absent."""
        for name in (field, *_LEGACY_NAMES.get(field, ())):
            value = self._raw.get(name)
            if value is not None:
                return value
        return None

    def integer(self, field: str, default: int | None = None, *, minimum: int = 1) -> int:
        """``field`` as an integer of at least ``minimum``; ``default`` where it is absent."""
        value = self.get(field)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(field, value, "a whole number")
        if not minimum <= value < MAX_INTEGER:
            raise self.error(field, value, f"between {minimum} and {MAX_INTEGER}")
        return value

    def flag(self, field: str, default: bool) -> bool:
        value = self.get(field)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(field, value, "true or false")
        return value

    def text(self, field: str) -> str:
        value = self.get(field)
        if not isinstance(value, str) or not value:
            raise self.error(field, value, "a name")
        return value

    def names(self, field: str) -> list[str] | None:
        """A list of strings, or None where the field is absent."""
        value = self.get(field)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(field, value, "a list of names")
        return value

    def has(self, field: str) -> bool:
        return self.get(field) is not None

    @property
    def architecture(self) -> str:
        # The outer config names the class that is served; the nested one only its language model.
        names = self._outer.get("architectures") or self._raw.get("architectures")
        if not isinstance(names, list) or not names or not isinstance(names[0], str):
            raise self.error("architectures", names, "a list with one name")
        return names[0]

    @property
    def dtype(self) -> str:
        """The checkpoint's dtype. gpt-oss and MiniMax state none: vLLM then takes bfloat16."""
        value = self.get("torch_dtype")
        if value is None:
            if self.get("quantization_config"):
                return "bfloat16"
            raise self.error("torch_dtype", value, "a dtype")
        name = _DTYPES.get(str(value).removeprefix("torch."))
        if name is None:
            raise self.error("torch_dtype", value, f"one of {', '.join(sorted(set(_DTYPES)))}")
        return name
