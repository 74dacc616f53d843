"""`llmbudget plan` as a user runs it: in this process, through the same door as the program."""

import json
from pathlib import Path
from typing import Any

import pytest

from skyserve_llm.cli import run
from skyserve_llm.units import HOURS_PER_MONTH

PHIXTRAL = "mlabonne/phixtral-4x2_8"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "home"))


def plan(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    assert run(["plan", *args, "-o", "json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_phixtral_on_gcp_spot_is_one_l4(capsys: pytest.CaptureFixture[str]) -> None:
    document = plan(capsys, PHIXTRAL, "--cloud", "gcp", "--spot")
    choice = document["candidates"][document["chosen"]]
    assert (choice["gpu"], choice["gpu_count"], choice["spot"]) == ("L4", 1, True)
    compute = float(choice["price_per_hour"]) * HOURS_PER_MONTH
    assert float(choice["month"]["compute"]) == pytest.approx(compute, abs=0.01)


def test_on_demand_shows_the_on_demand_one(capsys: pytest.CaptureFixture[str]) -> None:
    document = plan(capsys, PHIXTRAL, "--cloud", "gcp", "--on-demand")
    choice = document["candidates"][document["chosen"]]
    assert (choice["gpu"], choice["gpu_count"], choice["spot"]) == ("L4", 1, False)
    assert not any(candidate["spot"] for candidate in document["candidates"])


def test_the_table_shows_the_chosen_price(capsys: pytest.CaptureFixture[str]) -> None:
    document = plan(capsys, PHIXTRAL, "--cloud", "gcp", "--spot")
    choice = document["candidates"][0]
    assert run(["plan", PHIXTRAL, "--cloud", "gcp", "--spot"]) == 0
    table = capsys.readouterr().out
    row = next(line for line in table.splitlines() if "✔" in line)
    assert f"{float(choice['price_per_hour']):.4f}" in row
    assert "L4:1" in row
    assert "14.56 GiB weights" in table
    assert "SkyServe controller" in table
    assert "prices" in table


@pytest.mark.parametrize(
    ("model", "gpu", "count"),
    [
        ("mistralai/Mixtral-8x7B-v0.1", "A100-80GB", 2),
        ("TheBloke/Mixtral-8x7B-Instruct-v0.1-AWQ", "A100", 1),
    ],
)
def test_the_articles_models_find_their_cards(
    capsys: pytest.CaptureFixture[str], model: str, gpu: str, count: int
) -> None:
    document = plan(capsys, model, "--cloud", "gcp", "--on-demand")
    assert (gpu, count) in {(c["gpu"], c["gpu_count"]) for c in document["candidates"]}


def test_the_document_keeps_its_contract(capsys: pytest.CaptureFixture[str]) -> None:
    document = plan(capsys, PHIXTRAL, "--limit", "3")
    assert {"model", "workload", "prices", "chosen", "candidates", "rejected"} <= set(document)
    assert {
        "id", "revision", "architecture", "model_type", "parameters", "active_parameters", "dtype",
        "quantization", "source", "engine", "engine_reason", "max_new_tokens", "trust_remote_code",
    } <= set(document["model"])  # fmt: skip
    assert {"max_model_len", "concurrency", "input_tokens", "output_tokens", "replicas"} <= set(
        document["workload"]
    )
    assert {"snapshot", "as_of"} <= set(document["prices"])
    assert len(document["candidates"]) == 3
    for number, candidate in enumerate(document["candidates"], start=1):
        assert candidate["rank"] == number
        assert {
            "cloud", "region", "zone", "instance_type", "gpu", "gpu_count", "spot", "quantization",
            "tensor_parallel_size", "price_per_hour", "price_as_of", "price_source",
            "kv_cache_tokens", "max_concurrency", "usd_per_million_output_tokens",
        } <= set(candidate)  # fmt: skip
        assert {
            "weights_bytes", "kv_cache_bytes", "kv_cache_bytes_per_token", "activation_bytes",
            "overhead_bytes", "per_gpu_capacity_bytes",
        } <= set(candidate["memory"])  # fmt: skip
        assert set(candidate["throughput"]) == {
            "ttft_ms", "tpot_ms", "output_tokens_per_s", "basis",
        }  # fmt: skip
        assert set(candidate["month"]) == {"compute", "disk", "controller", "egress", "total"}
        assert isinstance(candidate["price_per_hour"], str)


def test_replicas_and_prices_shape_the_bill(capsys: pytest.CaptureFixture[str]) -> None:
    one = plan(capsys, PHIXTRAL, "--gpus", "L4:1", "--spot")["candidates"][0]
    two = plan(capsys, PHIXTRAL, "--gpus", "l4:1", "--spot", "--replicas", "2")["candidates"][0]
    assert float(two["month"]["compute"]) == pytest.approx(
        2 * float(one["month"]["compute"]), abs=0.02
    )
    cheap = plan(capsys, PHIXTRAL, "--max-price", "$0.50")
    assert all(float(c["price_per_hour"]) <= 0.5 for c in cheap["candidates"])


def test_every_place_lists_more_than_the_cheapest(capsys: pytest.CaptureFixture[str]) -> None:
    flags = (PHIXTRAL, "--cloud", "gcp", "--gpus", "L4:1", "--spot")
    assert len(plan(capsys, *flags)["candidates"]) == 1
    assert len(plan(capsys, *flags, "--all-places")["candidates"]) > 5


def test_a_local_folder_is_planned(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
                "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
                "num_key_value_heads": 8, "vocab_size": 128256, "torch_dtype": "bfloat16",
                "max_position_embeddings": 8192, "tie_word_embeddings": False,
            }
        ),
        encoding="utf-8",
    )  # fmt: skip
    assert plan(capsys, str(tmp_path))["model"]["parameters"] == 8_030_261_248


@pytest.mark.parametrize(
    ("args", "code", "said", "hint"),
    [
        (["mlabonne/phixtral-4x2"], 2, "cannot reach", "phixtral-4x2_8"),
        (["./nowhere"], 2, "no config.json", "folder"),
        ([PHIXTRAL, "--gpus", "L5"], 2, "L5", "L4"),
        ([PHIXTRAL, "--gpus", "L4:x"], 2, "count", "--help"),
        ([PHIXTRAL, "--cloud", "gpc"], 2, "gpc", "gcp"),
        ([PHIXTRAL, "--region", "us-centrall1"], 2, "us-centrall1", "us-central1"),
        ([PHIXTRAL, "--replicas", "-2"], 2, "-2", "--help"),
        ([PHIXTRAL, "--replicas", "0"], 2, "0", "--help"),
        ([PHIXTRAL, "--max-price", "-1"], 2, "-1", "--help"),
        ([PHIXTRAL, "--max-price", "nan"], 2, "nan", "--help"),
        ([PHIXTRAL, "--max-model-len", "999999"], 2, "999999", "2048"),
        ([PHIXTRAL, "--concurrency", "x"], 2, "x", "--help"),
        ([PHIXTRAL, "--tensor-parallel-size", "3"], 2, "3", "1, 2, 4, 8"),
        ([PHIXTRAL, "--nonsense"], 2, "--nonsense", "--help"),
        ([], 2, "MODEL", "--help"),
        ([PHIXTRAL, "--max-price", "0.0001"], 3, "no offer", "--max-price"),
        (["deepseek-ai/DeepSeek-V3", "--gpus", "L4"], 3, "nearest is L4:8", "more GPUs"),
    ],
)
def test_bad_input_is_one_clear_line_and_a_hint(
    capsys: pytest.CaptureFixture[str], args: list[str], code: int, said: str, hint: str
) -> None:
    assert run(["plan", *args]) == code
    error = capsys.readouterr().err
    line, _, rest = error.partition("\n\nhint: ")
    assert line.startswith("error: ")
    assert "\n" not in line
    assert said in line
    assert hint in rest
    assert "Traceback" not in error


def test_no_feasible_plan_shows_the_nearest_misses(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "mistralai/Mixtral-8x7B-v0.1", "--gpus", "L4"]) in (0, 3)
    capsys.readouterr()
    assert run(["plan", "mistralai/Mixtral-8x7B-v0.1", "--gpus", "L4:1", "-o", "json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["chosen"] is None
    assert document["candidates"] == []
    assert document["rejected"][0]["gpu"] == "L4"
    assert "leave no room" in document["rejected"][0]["reason"]


def test_a_home_that_cannot_be_written_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "file" / "home"))
    assert run(["plan", PHIXTRAL]) == 2
    assert "LLMBUDGET_HOME" in capsys.readouterr().err
