"""Reading a Hugging Face ``config.json`` field by field, refusing what cannot be true.

A missing, negative, huge or wrong-typed field raises an error that names it: a default that
changes the bill is never filled in silently. Knows how a config is laid out (fields of a nested
language model, old names) and nothing of what the numbers mean.
"""

from collections.abc import Callable, Mapping
from typing import Any

from skyserve_llm.errors import InputError
from skyserve_llm.sources.model.names import OLD_NAMES, OWN_NAMES

MAX_INTEGER = 1 << 31
"""No dimension of a transformer comes near this; a larger one is a damaged file."""

TEXT_CONFIGS = ("text_config", "llm_config", "language_config")
"""Where a model of several parts keeps its language model's config."""

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

PER_LAYER = {"num_experts", "num_experts_per_tok", "n_shared_experts", "moe_intermediate_size"}
"""Fields that may be a list of one number a layer, all the same (Hunyuan, ERNIE)."""

Flag = bool | tuple[str, bool]
"""True, False, or the name of a field that says so and what its absence means."""


class ModelConfig:
    """A config's language-model part, by the present names of its fields."""

    def __init__(self, raw: Mapping[str, Any], *, origin: str) -> None:
        """Take ``raw`` as parsed from JSON; ``origin`` (a file or an id) starts every error."""
        self.origin = origin
        self.outer = raw
        name, nested = text_config(raw)
        if nested is not None and not isinstance(nested, Mapping):
            raise self.error(name, nested, "an object")
        self._raw: Mapping[str, Any] = {**raw, **nested} if nested else raw
        model_type = self._raw.get("model_type")
        self._own = OWN_NAMES.get(model_type, {}) if isinstance(model_type, str) else {}

    def error(self, field: str, value: object, wanted: str) -> InputError:
        shown = "missing" if value is None else f"{value!r}"
        return InputError(
            f"{self.origin}: field '{field}' is {shown[:80]}, not {wanted}",
            hint="compare with the model's config.json on its hub page",
        )

    def get(self, field: str) -> Any:
        """The value of ``field`` under whichever of its names; None where it is absent."""
        value: Any = None
        if field in self._own:
            value = self._raw
            for step in self._own[field].split("."):
                value = value.get(step) if isinstance(value, Mapping) else None
        if value is not None:
            return value
        for name in (field, *OLD_NAMES.get(field, ())):
            value = self._raw.get(name)
            if value is not None:
                return value
        return None

    def has(self, field: str) -> bool:
        return self.get(field) is not None

    def integer(
        self,
        field: str,
        default: int | None = None,
        *,
        minimum: int = 1,
        maximum: int = MAX_INTEGER,
    ) -> int:
        """``field`` as an integer within these bounds; ``default`` where it is absent."""
        value = self.get(field)
        if value is None and default is not None:
            return default
        if field in PER_LAYER and isinstance(value, list) and value == value[:1] * len(value):
            value = next(iter(value), None)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(field, value, "a whole number")
        if not minimum <= value < maximum:
            raise self.error(field, value, f"between {minimum} and {maximum}")
        return value

    def number(self, field: str, value: object) -> float:
        """``value``, found at ``field``, as a positive finite number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(field, value, "a number")
        if not 0 < value < MAX_INTEGER:
            raise self.error(field, value, f"between 0 and {MAX_INTEGER}")
        return float(value)

    def flag(self, field: str, default: bool) -> bool:
        return self._boolean(field, self.get(field), default)

    def _boolean(self, field: str, value: object, default: bool) -> bool:
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(field, value, "true or false")
        return value

    def holds(self, flag: Flag) -> bool:
        """Whether a family's flag is on in this config."""
        return flag if isinstance(flag, bool) else self.flag(*flag)

    def tied(self, default: bool) -> bool:
        """Whether the head is the embedding again: the whole model's word, then its text's."""
        field = "tie_word_embeddings"
        value = self.outer.get(field)
        return self._boolean(field, self.get(field) if value is None else value, default)

    def text(self, field: str) -> str:
        value = self.get(field)
        if not isinstance(value, str) or not value:
            raise self.error(field, value, "a name")
        return value

    def names(self, field: str) -> list[str] | None:
        """A list of strings, or None where the field is absent."""
        return self._listed(field, lambda item: isinstance(item, str), "names")

    def integers(self, field: str) -> list[int] | None:
        """A list of whole numbers, or None where the field is absent."""
        return self._listed(field, lambda item: type(item) is int, "whole numbers")

    def objects(self, field: str) -> list[Mapping[str, Any]] | None:
        """A list of objects, or None where the field is absent."""
        return self._listed(field, lambda item: isinstance(item, Mapping), "objects")

    def _listed(self, field: str, fits: Callable[[Any], bool], wanted: str) -> list[Any] | None:
        value = self.get(field)
        if value is None:
            return None
        if not isinstance(value, list) or not all(map(fits, value)):
            raise self.error(field, value, f"a list of {wanted}")
        return value

    @property
    def architecture(self) -> str:
        # The outer config names the class that is served; the nested one only its language model.
        names = self.outer.get("architectures") or self._raw.get("architectures")
        if not isinstance(names, list) or not names or not isinstance(names[0], str):
            raise self.error("architectures", names, "a list with one name")
        return names[0]

    @property
    def served_type(self) -> str:
        """The outer ``model_type``: the class that is served, not only its language model."""
        value = self.outer.get("model_type")
        return value if isinstance(value, str) and value else self.text("model_type")

    @property
    def custom_code(self) -> bool:
        """Whether the repository brings model classes of its own."""
        found = self.outer.get("auto_map")
        if found is not None and not isinstance(found, Mapping):
            raise self.error("auto_map", found, "an object")
        return any(str(name).startswith("AutoModel") for name in found or ())

    @property
    def vision(self) -> "ModelConfig | None":
        """The config of the vision tower; None where there is none.

        Raises:
            InputError: it is no object.
        """
        raw = self.outer.get("vision_config")
        if raw is None:
            return None
        if not isinstance(raw, Mapping):
            raise self.error("vision_config", raw, "an object")
        own = {**raw, "model_type": raw.get("model_type") or f"{self.served_type}_vision"}
        return ModelConfig(own, origin=f"{self.origin}: vision_config")

    @property
    def dtype(self) -> str | None:
        """The checkpoint's dtype; None where the config does not state one."""
        value = self.get("torch_dtype")
        if value is None:
            return None
        name = _DTYPES.get(str(value).removeprefix("torch."))
        if name is None:
            raise self.error("torch_dtype", value, f"one of {', '.join(sorted(set(_DTYPES)))}")
        return name


def text_config(raw: Mapping[str, Any]) -> tuple[str, Any]:
    """(field, value) of the nested language model's config; (…, None) where there is none."""
    for name in TEXT_CONFIGS:
        if raw.get(name) is not None:
            return name, raw[name]
    return TEXT_CONFIGS[0], None


def complete(
    raw: Mapping[str, Any], defaults: Callable[[str], Mapping[str, Any]]
) -> Mapping[str, Any]:
    """``raw`` with what its nested configs left out, because their classes have it by default.

    transformers saves a nested config without the fields that equal its class's defaults
    (``PreTrainedConfig.to_diff_dict``); a config that stands alone is saved whole.
    """
    whole = dict(raw)
    for name in (*TEXT_CONFIGS, "vision_config"):
        nested = raw.get(name)
        if isinstance(nested, Mapping):
            outer, inner = raw.get("model_type"), nested.get("model_type")
            # A tower that states no type of its own, or its model's, is of the model's own kind.
            kind = f"{outer}/{name}" if inner in (None, outer) else str(inner)
            whole[name] = {**defaults(kind), **nested}
    return whole
