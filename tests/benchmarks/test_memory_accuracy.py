"""Raw measurements of any folder → points, and the benchmark as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.points.folder import find_model, folder_points, plain_name
from skyserve_llm.sources.hub import bundled_models

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "memory_accuracy.py"
HARNESS = {
    "name": "llama-3.1-8b", "eager": False, "weights_GiB": "15.0", "kv_GiB": "108.81",
    "kv_tokens": "891392", "conc": "27.20", "max_model_len": 32768, "total_GiB": 139.80072,
}  # fmt: skip
SMALL = {
    "tag": "l4_llama8b", "name": "llama-3.1-8b", "vllm": "0.24.0", "gpu_total_GiB": 139.8007,
    "gpu_memory_utilization": 0.148, "max_num_batched_tokens": 2048, "max_num_seqs": 256,
    "max_model_len": 8192, "enforce_eager": False, "weights_GiB": 15.0, "kv_GiB": 4.45,
    "kv_tokens": 36464,
}  # fmt: skip
COLUMNS = (
    "id,model,quant,vllm_version,gpu,gpu_total_gib,tp,pp,gpu_mem_util,max_model_len,"
    "max_num_batched_tokens,max_num_seqs,kv_cache_dtype,other_flags,weights_gib_per_gpu,"
    "kv_cache_gib_per_gpu,kv_tokens_logged,max_concurrency_logged,source,quality"
)
FOUND = """
a,Qwen/Qwen3-32B,bf16,v0.11.0 (image),H100 80GB,79.18,2,1,0.9,16000,default (8192 server),default (1024 there),auto,,30.59,34.49,,,here,HIGH: sums
b,meta-llama/Llama-3.1-8B-Instruct,bf16,"0.6.x (V0)",RTX 3090,23.58,1,1,0.9,20000,"= max_model_len (V0, no chunking)",256,,,14.9888,3.81,,1.56x,here,HIGH
c,somebody/unheard-of,bf16,0.24.0,H200,139.8,1,1,0.9,2048,,,,,1,1,,,here,HIGH
d,meta-llama/Llama-3.1-8B-Instruct,bf16,0.24.0,MI300X 192GB,,1,1,0.9,2048,,,,,15,1,,,here,HIGH
e,google/gemma-3-4b-it,bf16,0.24.0,not stated,,1,1,,2048,,,,--enforce-eager,,1.0,,,here,MEDIUM
"""  # noqa: E501


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "measured_h200.jsonl").write_text(json.dumps(HARNESS) + "\n", encoding="utf-8")
    (tmp_path / "measured_h200_small.jsonl").write_text(json.dumps(SMALL), encoding="utf-8")
    (tmp_path / "measured_memory.csv").write_text(COLUMNS + FOUND, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("nothing of interest", encoding="utf-8")
    return tmp_path


def test_prose_becomes_points(folder: Path) -> None:
    points, left_out = folder_points(folder)
    found = {point.id: point for point in points}
    assert set(found) == {
        "measured_h200-llama-3.1-8b", "measured_h200_small-l4_llama8b", "a", "b", "e",
    }  # fmt: skip
    assert sorted(line.partition(":")[0] for line in left_out) == ["c", "d"]
    offline = found["measured_h200-llama-3.1-8b"]
    assert (offline.max_num_batched_tokens, offline.max_num_seqs) == (16384, 1024)
    assert (offline.vllm_version, offline.gpu_memory_utilization) == ("0.24.0", 0.9)
    server = found["a"]
    assert (server.max_num_batched_tokens, server.max_num_seqs) == (8192, 1024)
    assert (server.tensor_parallel_size, server.vllm_version) == (2, "0.11.0")
    assert found["b"].max_num_batched_tokens == 20000
    assert found["b"].max_concurrency == 1.56
    assert found["e"].enforce_eager
    assert [point.id for point in points if not point.states_flags] == ["e"]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("qwen3-8b", "Qwen/Qwen3-8B"),
        ("qwen3-32b-fp8", "Qwen/Qwen3-32B-FP8"),
        ("deepseek-v2-lite", "deepseek-ai/DeepSeek-V2-Lite-Chat"),
        ("mixtral-8x7b-awq", "TheBloke/Mixtral-8x7B-Instruct-v0.1-AWQ"),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "nvidia/Llama-3.1-70B-Instruct-FP8"),
        ("tinyllama", "TinyLlama/TinyLlama-1.1B-Chat-v1.0"),
        ("meta-llama/Meta-Llama-3-8B", "meta-llama/Meta-Llama-3-8B-Instruct"),
    ],
)
def test_a_name_for_short_finds_its_model(name: str, model: str) -> None:
    found = find_model(name, bundled_models())
    assert found is not None
    assert found.id == model


def test_a_name_of_nothing_finds_nothing() -> None:
    assert find_model("gpt-9", bundled_models()) is None
    assert plain_name("a/Meta-Llama-3-8B-Instruct-FP8-dynamic") == "llama-3-8b"


def test_the_benchmark_prints_one_table_and_writes_the_same(folder: Path, tmp_path: Path) -> None:
    written = tmp_path / "out.json"
    command = [sys.executable, str(SCRIPT), str(folder), "--json", str(written)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    document = json.loads(written.read_text(encoding="utf-8"))
    assert "left out: c" in done.stdout
    assert len(document["rows"]) == 5
    assert document["summary"]["weights"]["worst"] <= 0.01
    assert document["summary"]["beside, GiB"]["worst"] <= 1.5
    assert document["summary"]["KV tokens"]["worst"] <= 0.1
    assert len(document["left_out"]) == 2
