"""`llmbudget fit`, and what `plan` says of memory and quantization, as a user runs them."""

import json
from pathlib import Path
from typing import Any

import pytest

from skyserve_llm.cli import run

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
MIXTRAL = "mistralai/Mixtral-8x7B-v0.1"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "home"))


def fit(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> dict[str, Any]:
    assert run(["fit", *args, "-o", "json"]) == code
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_the_document_is_a_candidates_without_its_price(
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = fit(capsys, LLAMA, "--gpus", "L4:1", "--max-model-len", "8192")
    assert run(["plan", LLAMA, "--gpus", "L4:1", "--max-model-len", "8192", "-o", "json"]) == 0
    candidate = json.loads(capsys.readouterr().out)["candidates"][0]
    for field in ("memory", "kv_cache_tokens", "max_concurrency", "throughput", "quantization",
                  "tensor_parallel_size", "gpu", "gpu_count"):  # fmt: skip
        assert document[field] == candidate[field]
    assert document["fits"] is True
    assert document["reason"] is None
    assert document["max_model_len_that_fits"] > 8192
    assert document["workload"]["max_model_len"] == 8192
    assert document["engine_args"]["vllm_version"]


def test_what_does_not_fit_leaves_with_3_and_says_what_would(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["fit", LLAMA, "--gpus", "L4:1", "-o", "json"]) == 3
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["fits"] is False
    assert document["throughput"] is None
    longest = document["max_model_len_that_fits"]
    assert f"--max-model-len {longest}" in document["remedies"]
    assert f"--max-model-len {longest} fits" in document["reason"]
    line, _, hint = err.partition("\n\nhint: ")
    assert line.startswith("error: ")
    assert "131,072 tokens" in line
    assert f"--max-model-len {longest}" in hint


def test_the_table_speaks_as_vllms_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", LLAMA, "--gpus", "h200", "--max-model-len", "32768"]) == 0
    table = capsys.readouterr().out
    for words in ("model loading takes", "14.99 GiB", "available KV cache memory",
                  "GPU KV cache size", "maximum concurrency for 32,768 tokens",
                  "max_num_batched_tokens", "8,192"):  # fmt: skip
        assert words in table


def test_every_knob_has_vllms_name(capsys: pytest.CaptureFixture[str]) -> None:
    knobs = {
        "--tensor-parallel-size": "2", "--pipeline-parallel-size": "2",
        "--gpu-memory-utilization": "0.8", "--max-num-batched-tokens": "4096",
        "--max-num-seqs": "64", "--kv-cache-dtype": "fp8", "--quantization": "fp8",
        "--dtype": "bfloat16", "--block-size": "32",
    }  # fmt: skip
    flags = [part for pair in knobs.items() for part in pair]
    document = fit(capsys, MIXTRAL, "--gpus", "H100:4", *flags, "--enforce-eager")
    assert document["engine_args"] == {
        "tensor_parallel_size": 2, "pipeline_parallel_size": 2, "gpu_memory_utilization": 0.8,
        "max_num_batched_tokens": 4096, "max_num_seqs": 64, "kv_cache_dtype": "fp8",
        "quantization": "fp8", "dtype": "bfloat16", "block_size": 32, "enforce_eager": True,
        "vllm_version": "0.32.0",
    }  # fmt: skip
    assert document["altered"] == "quantized to fp8 while loading"
    assert document["max_num_batched_tokens"] == 4096
    assert document["weight_only"] is False


def test_an_estimate_beside_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    """vLLM 0.24 on an H200: 87.0 GiB of weights, 34.45 GiB and 282,176 tokens of KV cache."""
    document = fit(
        capsys, MIXTRAL, "--gpus", "H200:1", "--gpu-memory-utilization", "0.9",
        "--max-model-len", "32768", "--max-num-batched-tokens", "16384",
    )  # fmt: skip
    assert document["memory"]["weights_bytes"] / (1 << 30) == pytest.approx(87.0, rel=0.01)
    assert document["kv_cache_tokens"] == pytest.approx(282_176, rel=0.1)


def test_a_folder_with_a_config_is_fitted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
        "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 128256, "torch_dtype": "bfloat16",
        "max_position_embeddings": 8192, "tie_word_embeddings": False,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert fit(capsys, str(tmp_path), "--gpus", "L4")["fits"] is True


@pytest.mark.parametrize(
    ("args", "said", "hint"),
    [
        ([LLAMA], "--gpus", "--help"),
        ([LLAMA, "--gpus", "L5"], "L5", "L4"),
        ([LLAMA, "--gpus", "L4:0"], "count", "--help"),
        ([LLAMA, "--gpus", "L4", "--max-model-len", "999999"], "999999", "131072"),
        ([LLAMA, "--gpus", "L4", "--quantization", "q4"], "q4", "--help"),
        ([LLAMA, "--gpus", "L4", "--quantization", "gptq"], "no gptq weights", "auto"),
        ([LLAMA, "--gpus", "L4", "--gpu-memory-utilization", "1.5"], "1.5", "--help"),
        ([LLAMA, "--gpus", "L4", "--block-size", "0"], "0", "--help"),
        (["./nowhere", "--gpus", "L4"], "no config.json", "folder"),
    ],
)
def test_bad_input_is_one_clear_line_and_a_hint(
    capsys: pytest.CaptureFixture[str], args: list[str], said: str, hint: str
) -> None:
    assert run(["fit", *args]) == 2
    line, _, rest = capsys.readouterr().err.partition("\n\nhint: ")
    assert line.startswith("error: ")
    assert "\n" not in line
    assert said in line
    assert hint in rest


@pytest.mark.parametrize("command", [["fit", LLAMA, "--gpus", "L40S"], ["plan", LLAMA]])
def test_explain_shows_the_arithmetic_line_by_line(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert run([*command, "--max-model-len", "8192", "--explain"]) == 0
    table = capsys.readouterr().out
    for words in ("reported by the driver", "= usable", "embedding", "= weights", "(dense_mlp)",
                  "= activation peak", "non_torch", "= overhead", "= KV cache",
                  "all tokens in 16s", "requests at once"):  # fmt: skip
        assert words in table


def test_explain_of_what_cannot_run_explains_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["fit", LLAMA, "--gpus", "T4", "--explain"]) == 3
    assert "arithmetic" not in capsys.readouterr().out


def test_a_plan_shows_smaller_weights_and_chooses_the_checkpoint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["plan", MIXTRAL, "--cloud", "gcp", "--on-demand", "--allow-suspect"]
    assert run([*flags, "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    choice = document["candidates"][document["chosen"]]
    assert (choice["gpu"], choice["gpu_count"], choice["altered"]) == ("A100-80GB", 2, None)
    assert document["chosen"] > 0
    assert document["candidates"][0]["quantization"] == "fp8"
    assert run([*flags, "--limit", "1"]) == 0
    table = capsys.readouterr().out
    assert "A100-80GB:2" in table  # the chosen one is shown, however short the list
    assert run([*flags, "--quantization", "none", "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {one["altered"] for one in document["candidates"]} == {None}
    assert document["chosen"] == 0
    assert run(flags) == 0
    assert "--quantization fp8 asks for it" in capsys.readouterr().out


def test_what_is_quantized_on_the_way_in_is_rendered_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["plan", MIXTRAL, "--gpus", "H100:1", "--quantization", "fp8"]) == 0
    assert run(["render"]) == 0
    rendered = capsys.readouterr().out
    assert "--quantization fp8" in rendered.replace("'", "").replace('"', "").replace(",", "")
