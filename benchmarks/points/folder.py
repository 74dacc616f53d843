"""A folder of raw measurements → the same points as the shipped table.

Reads ``measured_*.jsonl`` (one start of vLLM a line, as a harness around its log wrote it) and
``measured_memory.csv`` (rows found in public). Names of models, cards and versions are prose
there; what cannot be told from it is left out and counted, never guessed.
"""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.points import Point
from skyserve_llm.planner.memory.card import compute_capability
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.hub import bundled_models
from skyserve_llm.types import ModelSpec

OFFLINE_TOKENS = {True: 16384, False: 8192}
OFFLINE_REQUESTS = {True: 1024, False: 256}
SERVER_TOKENS = {True: 8192, False: 2048}
LARGE_GIB = 70
"""Batch defaults of vLLM's ``LLM`` class and of its server, on cards of 70 GiB and more (an A100
excepted) and on smaller ones (vllm/engine/arg_utils.py, ``get_batch_defaults``)."""

HARNESS_VERSION, HARNESS_GPU, HARNESS_UTILIZATION = "0.24.0", "H200", 0.9
"""Of a line that does not say: the harness that wrote the first of them ran these."""

UNSTATED_GPU = "H100"
"""For weights, which are all that is held of a row without its card."""

OTHER_CHECKPOINTS = {
    "vllm6746": "Llama 3.1 405B as it was in July 2024: 16 KV heads, two layers in 16 bits",
}
"""Rows of weights that have since been replaced under the same name."""

_CHAT = re.compile(r"-(instruct|chat|hf|it|bf16|\d{4}|v\d[\d.]*)\b")
_QUANTIZED = (
    ("fbgemm", "fbgemm_fp8"), ("fp8", "fp8"), ("awq", "awq"), ("gptq", "gptq"),
    ("w8a8", "compressed-tensors"), ("nvfp4", "modelopt_fp4"), ("mxfp4", "mxfp4"),
    ("int4", "compressed-tensors"), ("nf4", "bitsandbytes"), ("bnb", "bitsandbytes"),
    ("bitsandbytes", "bitsandbytes"),
)  # fmt: skip


def folder_points(folder: Path) -> tuple[list[Point], list[str]]:
    """(points, what was left out and why)."""
    points, left_out = [], []
    models = bundled_models()
    for record in _records(folder):
        name = str(record.get("model") or record.get("name") or "")
        if record["id"] in OTHER_CHECKPOINTS:
            left_out.append(f"{record['id']}: {OTHER_CHECKPOINTS[record['id']]}")
            continue
        model = find_model(name, models)
        if model is None:
            left_out.append(f"{record['id']}: {name} is not a bundled model")
            continue
        quantization = _quantization(f"{name} {record.get('quant') or ''}")
        point = _point(record, model, quantization)
        if point is None:
            left_out.append(f"{record['id']}: {record.get('gpu')} is not a CUDA card we know")
        else:
            points.append(point)
    return points, left_out


def find_model(name: str, models: list[ModelSpec]) -> ModelSpec | None:
    """The bundled model that ``name`` means: its id, or what is left of both without the owner
    and words that do not change the weights' number (``-Instruct``, ``-chat``, ``-FP8``)."""
    for model in models:
        if model.id.lower() == name.lower():
            return model
    wanted = plain_name(name)
    same = [model for model in models if plain_name(model.id) == wanted]
    if not same and len(wanted) > 3:  # a tag for short: ``tinyllama``
        same = [model for model in models if plain_name(model.id).startswith(wanted)]
    kept = _quantization(name)
    as_stored = [m for m in same if (m.quantization and m.quantization.method) == kept]
    return next(iter(as_stored or same), None)


def plain_name(name: str) -> str:
    text = name.lower().rsplit("/", 1)[-1].removeprefix("meta-").replace("_", "-")
    text = re.sub(
        r"-(fp8|awq|gptq|nvfp4|mxfp4|int4|nf4|bnb|quantized|dynamic|w8a8|w4a16|kv)\b.*", "", text
    )
    text = text.replace("llama-3.3-70b", "llama-3.1-70b").replace("-thinking", "")
    return _CHAT.sub("", _CHAT.sub("", text))


def _records(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("measured_*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line) if line.strip() else {}
            if record.get("weights_GiB") is not None:
                yield {"id": f"{path.stem}-{record.get('tag') or record['name']}", **record}
    table = folder / "measured_memory.csv"
    if table.is_file():
        with table.open(newline="", encoding="utf-8") as lines:
            yield from csv.DictReader(lines)


def _point(record: Mapping[str, Any], model: ModelSpec, quantization: str | None) -> Point | None:
    def first(*names: str) -> Any:
        return next((record[n] for n in names if record.get(n) not in (None, "")), None)

    harness = "weights_GiB" in record
    gpu = _gpu(str(first("gpu") or (HARNESS_GPU if harness else UNSTATED_GPU)))
    if gpu is None or compute_capability(load_gpus()[gpu]) is None:
        return None
    total = _number(first("gpu_total_GiB", "total_GiB", "gpu_total_gib"))
    large = (total or load_gpus()[gpu].memory_mib / 1024) >= LARGE_GIB and "A100" not in gpu
    version = re.search(r"\d+\.\d+(\.\d+)?", str(first("vllm", "vllm_version") or ""))
    utilization = _number(first("gpu_memory_utilization", "gpu_mem_util"))
    if utilization is None and harness:
        utilization = HARNESS_UTILIZATION
    length = _whole(first("max_model_len"))
    stated = str(first("max_num_batched_tokens") or "")
    tokens = length if "max_model_len" in stated else _whole(stated or None)
    requests = _whole(first("max_num_seqs"))
    if tokens is None:
        # The first engine had no chunked prefill: a batch held the longest request.
        first_engine = not harness and version is not None and version[0].startswith("0.6")
        defaults = OFFLINE_TOKENS if harness else SERVER_TOKENS
        tokens = length if first_engine else defaults[large]
    flags = str(first("other_flags") or "")
    stored = model.quantization and model.quantization.method
    return Point(
        id=str(record["id"]),
        model=model.id,
        quantization=None if quantization == stored else quantization,
        vllm_version=version[0] if version else HARNESS_VERSION,
        gpu=gpu,
        gpu_total_gib=total,
        tensor_parallel_size=_whole(first("tp", "tensor_parallel_size")) or 1,
        pipeline_parallel_size=_whole(first("pp", "pipeline_parallel_size")) or 1,
        gpu_memory_utilization=utilization,
        max_model_len=length,
        max_num_batched_tokens=tokens,
        max_num_seqs=requests or OFFLINE_REQUESTS[large],
        kv_cache_dtype=str(first("kv_cache_dtype") or "auto"),
        enforce_eager=bool(first("enforce_eager", "eager")) or "--enforce-eager" in flags,
        weights_gib=_number(first("weights_GiB", "weights_gib_per_gpu")),
        kv_cache_gib=_number(first("kv_GiB", "kv_cache_gib_per_gpu")),
        kv_tokens=_whole(first("kv_tokens", "kv_tokens_logged")),
        max_concurrency=_number(first("conc", "max_concurrency_logged")),
        states_flags=None not in (total, utilization, length)
        and str(first("quality") or "HIGH").startswith("HIGH"),
        source=str(first("source") or "vLLM's own log lines, one card, dummy weights"),
    )


def _gpu(text: str) -> str | None:
    """``8x H200 (recipe)`` → ``H200``; the longest name that the prose holds."""
    if "not stated" in text:
        return UNSTATED_GPU
    plain = re.sub(r"[^a-z0-9]", "", text.lower())
    for name in sorted(load_gpus(), key=len, reverse=True):
        if re.sub(r"[^a-z0-9]", "", name.lower()) in plain:
            return name
    return None


def _quantization(text: str) -> str | None:
    lower = text.lower()
    return next((method for word, method in _QUANTIZED if word in lower), None)


def _number(value: object) -> float | None:
    found = re.search(r"\d+(\.\d+)?", str(value)) if value is not None else None
    return float(found[0]) if found else None


def _whole(value: object) -> int | None:
    number = _number(str(value).replace(",", "")) if value is not None else None
    return int(number) if number is not None else None
