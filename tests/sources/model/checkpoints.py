"""The tiny checkpoints of ``checkpoints.jsonl``, each as its config and its tensors."""

import json
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from skyserve_llm.sources.model.tensors import Tensor


class Saved(NamedTuple):
    config: dict[str, Any]
    tensors: list[Tensor]

    @property
    def weights(self) -> int:
        return sum(prod(tensor.shape) for tensor in self.tensors)


def _saved(line: str) -> Saved:
    record = json.loads(line)
    tensors = []
    for stars, shape, *axes in record["tensors"]:
        for numbers in product(*axes):
            name = stars
            for number in numbers:
                name = name.replace("*", str(number), 1)
            tensors.append(Tensor(name, "BF16", tuple(shape), 2 * prod(shape)))
    return Saved(record["config"], tensors)


_LINES = Path(__file__).with_name("checkpoints.jsonl").read_text(encoding="utf-8").splitlines()
CHECKPOINTS = [_saved(line) for line in _LINES[1:]]


def label(saved: Saved) -> str:
    inner = saved.config.get("text_config", {}).get("model_type", "")
    return f"{saved.config['model_type']} {inner}".strip()
