"""What a vLLM release implements (``vllm.json``, made by ``build``)."""

import json
from pathlib import Path

_TABLE = Path(__file__).with_name("vllm.json")


def vllm_registry() -> tuple[frozenset[str], str]:
    """(names of the architectures, the vLLM version they were read from)."""
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    return frozenset(table["architectures"]), table["vllm_version"]
