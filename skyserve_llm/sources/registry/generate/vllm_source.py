"""What a vLLM release implements, from its source: architectures, model types, quantization.

Follows vllm/model_executor/models/registry.py (``_ModelRegistry``), transformers_utils/config.py
and layers/quantization/__init__.py.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from skyserve_llm.sources.registry.generate.source import (
    ClassSource,
    classes,
    imports,
    returned,
    table,
    words,
)

_TABLES = {
    "_SPECULATIVE_DECODING_MODELS": "draft",
    "_EMBEDDING_MODELS": "pooling",
    "_LATE_INTERACTION_MODELS": "pooling",
    "_REWARD_MODELS": "pooling",
    "_TOKEN_CLASSIFICATION_MODELS": "pooling",
    "_SEQUENCE_CLASSIFICATION_MODELS": "pooling",
    "_TRANSFORMERS_SUPPORTED_MODELS": "transformers",
    "_MULTIMODAL_MODELS": "multimodal",
    "_TEXT_GENERATION_MODELS": "text",
}
"""The registry's tables and what we call them; a name in several counts as the last."""

_EXPERTS = re.compile(
    r"\b(num_experts|num_local_experts|n_routed_experts|moe_num_experts|FusedMoE|MixtureOfExperts)\b"
)

_PLUGIN = re.compile(r"^Requires-Dist: vllm-(\w+)-plugin.*extra == \"([\w-]+)\"", re.MULTILINE)


class VllmSource:
    """An unpacked vLLM wheel."""

    def __init__(self, folder: Path) -> None:
        self._package = folder / "vllm"
        self._models = self._package / "model_executor" / "models"
        self._registry = self._models / "registry.py"

    def architectures(self) -> dict[str, tuple[str, str, str]]:
        """Architecture → (what kind it is, its module, its class)."""
        found = {}
        for name, kind in _TABLES.items():
            for architecture, place in table(self._registry, name).items():
                if isinstance(place, tuple):
                    found[architecture] = (kind, place[0], place[1])
        return found

    def dropped(self) -> dict[str, str]:
        """Architecture → the last version that had it."""
        return table(self._registry, "_PREVIOUSLY_SUPPORTED_MODELS")

    def plugins(self) -> dict[str, str]:
        """Architecture → where the plugin that brings it lives."""
        return table(self._registry, "_OOT_SUPPORTED_MODELS")

    def model_types(self) -> list[str]:
        """Model types whose configs vLLM reads itself, beyond those transformers knows."""
        return sorted(table(self._package / "transformers_utils" / "config.py", "_CONFIG_REGISTRY"))

    def quantization(self) -> dict[str, int | None]:
        """Method → the least compute capability (x 10) its config class states, where it does."""
        folder = self._package / "model_executor" / "layers" / "quantization"
        least = {}
        for file in sorted(folder.rglob("*.py")):
            for source in classes(file):
                least[source.name] = _min_capability(source)
        methods = table(folder / "__init__.py", "method_to_config")
        return {method: least.get(name) for method, name in sorted(methods.items())}

    def quantization_extras(self) -> dict[str, str]:
        """Method → the extra that installs its plugin (``Requires-Dist: vllm-gguf-plugin …``)."""
        (metadata,) = self._package.parent.glob("vllm-*.dist-info/METADATA")
        return dict(_PLUGIN.findall(metadata.read_text(encoding="utf-8")))

    def has_experts(self, module: str, name: str) -> bool:
        """Whether the class, or one it is built on, reads a number of experts at all."""
        return any(_EXPERTS.search(file.read_text("utf-8")) for file in self._files(module, name))

    def words(self, module: str, name: str) -> set[str]:
        """Names that the class's modules give to parts of a model."""
        return set().union(*(words(file) for file in self._files(module, name)))

    def _files(self, module: str, name: str) -> list[Path]:
        """The files of a model and of every other model that its classes are built on."""
        start = self._place(module)
        pending, seen = [*(start.rglob("*.py") if start.is_dir() else [start])], []
        while pending:
            file = pending.pop()
            if file in seen or not file.is_file():
                continue
            seen.append(file)
            bases = {base for source in classes(file) for base in source.bases}
            pending += [origin for base, origin in self._neighbours(file) if base in bases]
        return seen

    def _neighbours(self, file: Path) -> Iterator[tuple[str, Path]]:
        """(name, file) of what a model's file takes from other models."""
        for name, module, level in imports(file):
            if module.rsplit(".", 1)[-1] in ("interfaces", "interfaces_base", "utils"):
                continue  # protocols and helpers of every model: their words are no model's own
            if level == 1:
                yield name, (file.parent / module.replace(".", "/")).with_suffix(".py")
            elif module.startswith("vllm.model_executor.models."):
                yield name, self._models / f"{module.rsplit('.', 1)[1]}.py"

    def _place(self, module: str) -> Path:
        if module.startswith("vllm."):
            path = self._package.parent / module.replace(".", "/")
        else:
            path = self._models / module
        return path if path.is_dir() else path.with_suffix(".py")


def _min_capability(source: ClassSource) -> int | None:
    values = returned(source, "get_min_capability")
    return values[0] if len(values) == 1 and isinstance(values[0], int) else None
