"""tiny_configs.jsonl -> checkpoints.jsonl: tiny random models as transformers saves them.

Not part of the tests, which only read what it wrote: run it by hand, in an environment that has
torch and the transformers release named in the file, when a family is added:

    python -m tests.sources.model.make_checkpoints

A line is one model: its config.json without what no size follows from, and the shapes of all
tensors in its model.safetensors. Names that differ in numbers only share an entry: each ``*``
stands for the numbers listed, in their order.
"""

import json
import re
import struct
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

NOISE = re.compile(
    "token_id|token_index|initializer|dropout|eps$|hidden_act|activation|aux_loss|use_cache|"
    "transformers_version|temperature|pdrop|multiplier|_id$|label|theta|limit$|logits_scaling|"
    "jitter|rope_parameters"
)


def main() -> None:
    import transformers
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    transformers.logging.set_verbosity_error()
    lines = [json.dumps({"transformers_version": transformers.__version__})]
    for line in HERE.joinpath("tiny_configs.jsonl").read_text().splitlines():
        fields = json.loads(line)
        auto = AutoModelForImageTextToText if fields.pop("vision") else AutoModelForCausalLM
        lines.append(json.dumps(saved(auto, AutoConfig.for_model(**fields))))
    HERE.joinpath("checkpoints.jsonl").write_text("\n".join(lines) + "\n")


def saved(auto: Any, config: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        auto.from_config(config).save_pretrained(folder)
        raw = json.loads((Path(folder) / "config.json").read_text())
        with (Path(folder) / "model.safetensors").open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    shapes = {name: tensor["shape"] for name, tensor in header.items()}
    return {"config": quiet(raw), "tensors": grouped(shapes)}


def quiet(raw: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in raw.items() if not NOISE.search(key)}
    return {k: quiet(v) if isinstance(v, dict) else v for k, v in kept.items()}


def grouped(shapes: dict[str, list[int]]) -> list[list[Any]]:
    """[name with stars, shape, the numbers for each star] for every set of names that is whole."""
    sets: dict[tuple[str, tuple[int, ...]], list[tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        numbers = tuple(map(int, re.findall(r"(?<=\.)\d+(?=\.)", name)))
        stars = re.sub(r"(?<=\.)\d+(?=\.)", "*", name)
        sets.setdefault((stars, tuple(shape)), []).append(numbers)
    entries = []
    for (stars, shape), numbers in sets.items():
        axes = [sorted(set(axis)) for axis in zip(*numbers, strict=True)]
        if set(product(*axes)) == set(numbers):
            entries.append([stars, list(shape), *axes])
        else:
            entries += [[stars, list(shape), *([n] for n in one)] for one in numbers]
    return entries


if __name__ == "__main__":
    main()
