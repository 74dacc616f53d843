"""Unpacked wheels of vLLM and transformers → ``vllm.json``, ``modules.json``, ``defaults.json``.

    pip download --no-deps vllm==0.32.0 transformers==5.19.0   # the one that vLLM asks for
    unzip -d unpacked …
    python -m skyserve_llm.sources.registry.generate unpacked

Every line of the tables is one architecture or model type, so that a new release reads as a diff.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skyserve_llm.errors import LlmbudgetError
from skyserve_llm.sources.model.families import FAMILIES
from skyserve_llm.sources.model.vision import TOWERS
from skyserve_llm.sources.registry.generate.source import version
from skyserve_llm.sources.registry.generate.transformers_source import TransformersSource
from skyserve_llm.sources.registry.generate.vllm_source import VllmSource


def build(vllm_folder: Path, transformers_folder: Path) -> dict[str, dict[str, Any]]:
    """The three tables by file name."""
    vllm, transformers = VllmSource(vllm_folder), TransformersSource(transformers_folder)
    model_types = transformers.architectures()
    served = vllm.architectures()
    architectures: dict[str, dict[str, Any]] = {}
    modules = {}
    for name, (kind, module, class_name) in sorted(served.items()):
        entry: dict[str, Any] = {"kind": kind}
        if name in model_types:
            entry["model_types"] = model_types[name]
        if kind == "text":
            entry["experts"] = vllm.has_experts(module, class_name)
            modules[name] = " ".join(sorted(vllm.words(module, class_name)))
        elif kind == "transformers":
            entry["experts"] = "MoE" in class_name
            modules[name] = " ".join(sorted(transformers.words(name)))
        architectures[name] = entry
    for name in sorted(set(model_types) - set(served)):
        kind = "compatible" if transformers.backend_compatible(name) else "foreign"
        architectures[name] = {"kind": kind, "model_types": model_types[name]}
    releases = {
        "vllm_version": version(vllm_folder, "vllm"),
        "transformers_version": version(transformers_folder, "transformers"),
    }
    return {
        "vllm.json": {
            **releases,
            "quantization": vllm.quantization(),
            "quantization_extras": vllm.quantization_extras(),
            "dropped": vllm.dropped(),
            "plugins": vllm.plugins(),
            "model_types": sorted({*vllm.model_types(), *transformers.model_types()}),
            "architectures": architectures,
        },
        "modules.json": {**releases, "modules": modules},
        "defaults.json": {
            **releases,
            "defaults": transformers.defaults({*FAMILIES, *TOWERS}),
        },
    }


def write(tables: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    """A line for each entry of a table's mappings."""
    for name, table in tables.items():
        parts = []
        for key, value in table.items():
            text = json.dumps(value)
            if isinstance(value, dict):
                lines = (f"{json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
                text = "{\n" + ",\n".join(lines) + "\n}"
            parts.append(f"{json.dumps(key)}: {text}")
        (folder / name).write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m skyserve_llm.sources.registry.generate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("vllm", type=Path, help="the folder of an unpacked vLLM wheel")
    parser.add_argument(
        "transformers", type=Path, nargs="?", help="of transformers, where it is another"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent)
    options = parser.parse_args()
    try:
        write(build(options.vllm, options.transformers or options.vllm), options.out)
    except LlmbudgetError as error:
        sys.stderr.write(f"error: {error.message}\n\nhint: {error.hint}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
