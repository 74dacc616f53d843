"""Weights and KV cache against vLLM's own code.

``vllm_points.csv`` was made with vLLM 0.32.0: each bundled model's config instantiated on the
meta device (in 16 bits where ``quantized`` is 0), for one rank of several tensor-parallel sizes;
parameter bytes, and what ``get_kv_cache_groups``, ``get_kv_cache_capacity`` and
``_estimate_max_model_len_from_groups`` make of 20 GiB and, for ``longest``, 4 GiB.
"""

import csv
from pathlib import Path
from typing import Any

import pytest

from skyserve_llm.planner.memory.kv_cache import kv_layout
from skyserve_llm.planner.memory.weights import weight_parts
from skyserve_llm.units import GIB
from tests.planner.cards import MODELS

TABLE = Path(__file__).with_name("vllm_points.csv")
POINTS = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines()))
LAID_OUT = [point for point in POINTS if point["kv_tokens"]]
WEIGHED = [point for point in POINTS if point["weights_bytes"]]


def name(point: dict[str, Any]) -> str:
    return f"{point['model']} tp{point['tensor_parallel_size']} {point['kv_cache_dtype']}"


def test_most_bundled_models_have_points() -> None:
    assert len({point["model"] for point in POINTS}) >= 60


def parameter_bytes(point: dict[str, Any]) -> int:
    """Ours, without what vLLM makes of the parameters after it has them."""
    model = MODELS[point["model"]]
    plain = model._replace(parameters=model.parameters._replace(vision=0))
    if point["quantized"] == "0":
        plain = plain._replace(quantization=None)
    wide = plain.dimensions._replace(rope_cache_values=0, latent_rank=0)
    return sum(weight_parts(plain._replace(dimensions=wide), int(point["tensor_parallel_size"])))


@pytest.mark.parametrize("point", WEIGHED, ids=name)
def test_parameter_bytes_are_vllms(point: dict[str, Any]) -> None:
    # Biases and scales that stand whole on each rank are a rank's share here, and Gemma 4's
    # shared keys and values stand twice in vLLM.
    assert parameter_bytes(point) == pytest.approx(int(point["weights_bytes"]), rel=0.004)


def test_most_parameter_bytes_are_vllms_to_the_byte() -> None:
    exact = sum(parameter_bytes(point) == int(point["weights_bytes"]) for point in WEIGHED)
    assert exact > 0.75 * len(WEIGHED)


@pytest.mark.parametrize("point", LAID_OUT, ids=name)
def test_kv_tokens_and_the_longest_context_are_vllms(point: dict[str, Any]) -> None:
    layout = kv_layout(
        MODELS[point["model"]],
        int(point["tensor_parallel_size"]),
        eight_bits=point["kv_cache_dtype"] == "fp8",
        block_size=int(point["block_size"]),
        in_flight=int(point["in_flight"]),
    )
    length = int(point["max_model_len"])
    tokens, concurrency = layout.capacity(20 * GIB, length)
    assert tokens == int(point["kv_tokens"])
    assert concurrency == pytest.approx(tokens / length, abs=1 / length)
    # vLLM's own search knows nothing of the block that the pool keeps to itself.
    assert layout.longest(4 * GIB + layout.block_bytes, length) == int(point["longest"])
