"""What a transformers release implements, from its source: model types, classes, config defaults.

Follows models/auto/{configuration,modeling}_auto.py, and configuration_utils.py for which fields
a saved config leaves out.
"""

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from skyserve_llm.sources.registry.generate.source import ClassSource, classes, table, words

_CHAT_MAPPINGS = (
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES",
)

_NO_SIZE = re.compile(
    "token_id|token_index|tie_word|dropout|initializer|init_|eps|activation|hidden_act|plan$|loss|"
    "attr|keys_to_ignore|use_cache|sub_config|scaling|theta|aux|jitter|logit|temperature|scale$"
)
"""Fields that no size follows from, and the tie, which the model as a whole states."""

_ATTENTION_CLASS = re.compile(r"^class \w*Attention\w*\(nn\.Module\):", re.MULTILINE)


class TransformersSource:
    """An unpacked transformers wheel."""

    def __init__(self, folder: Path) -> None:
        self._models = folder / "transformers" / "models"
        self._auto = self._models / "auto"

    def model_types(self) -> list[str]:
        """Every model type whose config transformers reads without code from the repository."""
        files = ("auto_mappings.py", "configuration_auto.py")
        return sorted({key for f in files for key in table(self._auto / f, "CONFIG_MAPPING_NAMES")})

    def architectures(self) -> dict[str, list[str]]:
        """Class that answers in text → the model types it stands for."""
        found: dict[str, set[str]] = {}
        for name in _CHAT_MAPPINGS:
            for model_type, value in table(self._auto / "modeling_auto.py", name).items():
                for architecture in (value,) if isinstance(value, str) else value or ():
                    found.setdefault(architecture, set()).add(model_type)
        return {name: sorted(types) for name, types in found.items()}

    def backend_compatible(self, architecture: str) -> bool:
        """Whether vLLM's Transformers backend may run the class.

        The rule of ``_can_set_attn_implementation`` (modeling_utils.py): a file that defines an
        attention layer must take its attention function from the common interface.
        """
        file = self._modeling.get(architecture)
        if file is None:
            return False
        text = file.read_text(encoding="utf-8")
        own_attention = _ATTENTION_CLASS.search(text) is not None
        return not own_attention or "ALL_ATTENTION_FUNCTIONS.get_interface(" in text

    def words(self, architecture: str) -> set[str]:
        """Names that the class's file gives to parts of a model."""
        file = self._modeling.get(architecture)
        return words(file) if file else set()

    def defaults(self, model_types: Iterable[str]) -> dict[str, Any]:
        """Model type → the sizes its config class takes where none are stated.

        ``<model type>/<field>`` are those of a nested config that states no type of its own. A
        nested config is saved without what equals its class's defaults
        (``PreTrainedConfig.to_diff_dict``), so that these are facts of the checkpoint and no
        guesses of ours.
        """
        found = {}
        for model_type in sorted(model_types):
            source = self._by_model_type.get(model_type)
            if source is None:
                continue
            parts = source.attributes.get("sub_configs") or {}
            if not parts:
                found[model_type] = self._sizes(source)
            for field, name in parts.items():
                if name in self._configs:
                    found[f"{model_type}/{field}"] = self._sizes(self._configs[name])
        return found

    def _sizes(self, source: ClassSource) -> dict[str, Any]:
        attributes = self._with_bases(source)
        return {
            name: value
            for name, value in sorted(attributes.items())
            if isinstance(value, int | str | float | list)
            and not name.startswith(("_", "base_config_key", "default_rope"))
            and not _NO_SIZE.search(name)
        }

    def _with_bases(self, source: ClassSource) -> dict[str, Any]:
        inherited: dict[str, Any] = {}
        for base in source.bases:
            if base in self._configs:
                inherited |= self._with_bases(self._configs[base])
        return inherited | source.attributes

    @cached_property
    def _modeling(self) -> dict[str, Path]:
        """Class → the file that defines it."""
        found = {}
        for file in sorted(self._models.glob("*/modeling_*.py")):
            for name in re.findall(r"^class (\w+)\(", file.read_text("utf-8"), re.MULTILINE):
                found[name] = file
        return found

    @cached_property
    def _configs(self) -> dict[str, ClassSource]:
        files = sorted(self._models.glob("*/configuration_*.py"))
        return {source.name: source for file in files for source in classes(file)}

    @cached_property
    def _by_model_type(self) -> dict[str, ClassSource]:
        named = ((c.attributes.get("model_type"), c) for c in self._configs.values())
        return {model_type: source for model_type, source in named if model_type}
