"""Models on the Hub: exact facts through its real routes, and everything that can be refused."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skyserve_llm.errors import InputError
from skyserve_llm.home import models_dir
from skyserve_llm.sources.hub.lookup import hub_model
from skyserve_llm.types import ModelSpec
from tests.sources.hub.loopback import STRANGER, TOKEN, Hub, running
from tests.sources.hub.models import LLAMA, LLAMA_WEIGHTS, llama_tensors, packed_llama_tensors
from tests.sources.hub.safetensors_files import safetensors

Ask = Callable[..., ModelSpec]
TINY: dict[str, Any] = {
    "config.json": LLAMA,
    "model.safetensors": safetensors(llama_tensors()),
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running() as server:
        server.add("acme/tiny", TINY)
        yield server


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "home"))


@pytest.fixture
def said() -> list[str]:
    """The lines of progress."""
    return []


@pytest.fixture
def ask(hub: Hub, said: list[str]) -> Ask:
    def ask(
        model_id: str = "acme/tiny", revision: str | None = None, *, refresh: bool = False
    ) -> ModelSpec:
        return hub_model(
            model_id, revision=revision, refresh=refresh, progress=said.append,
            endpoint=hub.endpoint,
        )  # fmt: skip

    return ask


def grow_older(days: float) -> None:
    """Make all kept facts so many days older."""
    for file in models_dir().glob("*.json"):
        document = json.loads(file.read_text())
        document["as_of"] = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        file.write_text(json.dumps(document))


# --- facts ---------------------------------------------------------------------------------


def test_a_model_is_its_config_and_the_headers_of_its_weights(ask: Ask, said: list[str]) -> None:
    model = ask()
    assert model.id == "acme/tiny"
    assert model.revision == "0123456789abcdef0123456789abcdef01234567"
    assert model.parameters.total == LLAMA_WEIGHTS
    assert model.checkpoint_bytes == 2 * LLAMA_WEIGHTS
    assert "layers.self_attn" in model.tensor_modules
    assert model.source == "Hub: acme/tiny@0123456, facts of just now, 86.8k BF16 in 1 weight file"
    assert said == ["reading the headers of 1 weight files of acme/tiny"]


def test_of_the_weights_only_headers_are_asked_for(hub: Hub, ask: Ask) -> None:
    big = {**llama_tensors(), "lm_head.weight": ("BF16", [100, 64])}
    hub.add("acme/big", {"config.json": LLAMA, "model.safetensors": safetensors(big) * 4})
    ask("acme/big")
    whole = len(hub.repos["acme/big"].files["model.safetensors"])
    assert 0 < hub.sent["model.safetensors"] < whole / 4


def test_weights_that_lie_there_twice_count_once(hub: Hub, ask: Ask) -> None:
    tensors = llama_tensors()
    names = sorted(tensors)
    shards = {
        f"model-0000{n}-of-00002.safetensors": {name: tensors[name] for name in half}
        for n, half in ((1, names[:8]), (2, names[8:]))
    }
    weight_map = {name: shard for shard, held in shards.items() for name in held}
    whole = safetensors(tensors)
    hub.add(
        "acme/sharded",
        {
            "config.json": LLAMA,
            "model.safetensors.index.json": {"weight_map": weight_map},
            **{shard: safetensors(held) for shard, held in shards.items()},
            "consolidated.safetensors": whole,
            "original/model.safetensors": whole,
            "metal/model.safetensors": whole,
            "model-extra.safetensors": whole,
        },
    )
    model = ask("acme/sharded")
    assert model.parameters.total == LLAMA_WEIGHTS
    assert model.source.endswith("in 2 weight files")


def test_packed_weights_count_as_what_they_hold(hub: Hub, ask: Ask) -> None:
    config = {**LLAMA, "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 32}}
    weights = safetensors(packed_llama_tensors())
    hub.add("acme/tiny-awq", {"config.json": config, "model.safetensors": weights})
    model = ask("acme/tiny-awq")
    assert model.parameters == ask().parameters
    linear = LLAMA_WEIGHTS - 2 * 6400 - 5 * 64
    # 4 bits a weight; for each 32 of them a 16-bit scale and a 4-bit zero point
    assert model.checkpoint_bytes == linear // 2 + linear // 32 * 20 // 8 + 2 * (2 * 6400 + 5 * 64)


def test_a_family_we_cannot_count_is_planned_by_its_weights(hub: Hub, ask: Ask) -> None:
    config = {**LLAMA, "model_type": "unheard-of"}
    hub.add("acme/new", {"config.json": config, "model.safetensors": safetensors(llama_tensors())})
    assert ask("acme/new").parameters == ask().parameters


def test_without_readable_weights_the_config_counts(hub: Hub, ask: Ask) -> None:
    hub.add("acme/old", {"config.json": LLAMA, "pytorch_model.bin": b"pickled"})
    model = ask("acme/old")
    assert model.parameters.total == LLAMA_WEIGHTS
    assert model.checkpoint_bytes is None


def test_the_generation_configs_limit_is_taken(hub: Hub, ask: Ask) -> None:
    hub.add("acme/short", {**TINY, "generation_config.json": {"max_new_tokens": 64}})
    assert ask("acme/short").max_new_tokens == 64
    assert ask().max_new_tokens is None
    hub.add("acme/odd", {**TINY, "generation_config.json": {"max_new_tokens": "many"}})
    with pytest.raises(InputError, match=r"'max_new_tokens' of generation_config\.json is 'many'"):
        ask("acme/odd")


def test_modelopts_own_file_says_how_weights_are_quantized(hub: Hub, ask: Ask) -> None:
    own = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}
    hub.add("acme/fp8", {**TINY, "hf_quant_config.json": own})
    quantization = ask("acme/fp8").quantization
    assert quantization is not None
    assert (quantization.method, quantization.bits) == ("modelopt", 8)


def test_a_server_without_ranges_is_understood_too(hub: Hub, ask: Ask) -> None:
    hub.ranges = False
    assert ask().parameters.total == LLAMA_WEIGHTS


def test_a_revision_is_read_as_asked(hub: Hub, ask: Ask) -> None:
    hub.add("acme/tagged", TINY, revisions=("main", "v1.0"), sha="f" * 40)
    assert ask("acme/tagged", "v1.0").revision == "f" * 40
    assert any("/revision/v1.0" in line for line in hub.requests)


# --- what is kept --------------------------------------------------------------------------


def test_facts_are_kept_and_say_how_old_they_are(hub: Hub, ask: Ask) -> None:
    first = ask()
    asked = len(hub.requests)
    grow_older(days=3)
    again = ask()
    assert len(hub.requests) == asked
    assert ", facts of 3 days ago," in again.source
    assert again._replace(source="") == first._replace(source="")


def test_old_facts_are_asked_for_again(hub: Hub, ask: Ask) -> None:
    ask()
    grow_older(days=8)
    hub.repos["acme/tiny"].sha = "e" * 40
    assert ask().revision == "e" * 40


def test_fresh_facts_are_asked_for_on_demand(hub: Hub, ask: Ask) -> None:
    ask()
    hub.repos["acme/tiny"].sha = "e" * 40
    assert ask().revision != "e" * 40
    assert ask(refresh=True).revision == "e" * 40


@pytest.mark.parametrize("failure", [429, 500, 503])
def test_when_the_hub_is_out_of_order_old_facts_answer(
    hub: Hub, ask: Ask, said: list[str], failure: int
) -> None:
    ask()
    grow_older(days=30)
    hub.failure = failure
    assert ", facts of 30 days ago," in ask().source
    assert "using the facts of 30 days ago" in said[-1]


def test_a_model_that_went_away_is_not_answered_from_memory(hub: Hub, ask: Ask) -> None:
    ask()
    del hub.repos["acme/tiny"]
    with pytest.raises(InputError, match="no model 'acme/tiny'"):
        ask(refresh=True)


def test_damaged_facts_are_forgotten(ask: Ask) -> None:
    ask()
    for text in ("", "{", "[]", '{"format": 1}', '{"format": 0}'):
        for file in models_dir().glob("*.json"):
            file.write_text(text)
        assert ask().parameters.total == LLAMA_WEIGHTS


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "status", "message", "hint"),
    [
        (None, "gated", "is gated: its licence must be accepted first", "set HF_TOKEN"),
        (STRANGER, "gated", "the account of HF_TOKEN has no access", "ask for access at"),
        (None, "private", "no model 'acme/closed' is on the Hub, or it is private", "HF_TOKEN"),
        (STRANGER, "private", "no model 'acme/closed' that HF_TOKEN may see", "private"),
        ("hf_expired", "gated", "does not accept HF_TOKEN", "settings/tokens"),
    ],
)
def test_closed_doors_are_told_apart(
    hub: Hub, ask: Ask, monkeypatch: pytest.MonkeyPatch,
    token: str | None, status: str, message: str, hint: str,
) -> None:  # fmt: skip
    hub.add("acme/closed", TINY, **{status: True})
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(InputError) as caught:
        ask("acme/closed")
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize("status", ["gated", "private"])
def test_a_good_token_opens_them(
    hub: Hub, ask: Ask, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    hub.add("acme/closed", TINY, **{status: True})
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert ask("acme/closed").parameters.total == LLAMA_WEIGHTS


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (403, "HF_TOKEN may not read acme/tiny"),
        (429, "answers no more of our requests for now, for another 7 s"),
        (500, "the Hub answers 500"),
        (503, "the Hub answers 503"),
    ],
)
def test_refusals_are_one_clear_line(hub: Hub, ask: Ask, failure: int, message: str) -> None:
    hub.failure = failure
    with pytest.raises(InputError) as caught:
        ask()
    assert message in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_what_is_not_there_is_named(hub: Hub, ask: Ask) -> None:
    with pytest.raises(InputError, match="acme/tiny has no revision 'v9'"):
        ask("acme/tiny", "v9")
    with pytest.raises(InputError, match="'no such id' is no model's id"):
        ask("no such id")
    hub.add("acme/empty", {"README.md": b"#"})
    with pytest.raises(InputError, match=r"no config\.json in acme/empty"):
        ask("acme/empty")
    hub.add("acme/lora", {"adapter_config.json": {"base_model_name_or_path": "acme/tiny"}})
    with pytest.raises(InputError, match="holds an adapter") as caught:
        ask("acme/lora")
    assert "acme/tiny" in (caught.value.hint or "")


def test_damaged_files_are_named(hub: Hub, ask: Ask) -> None:
    hub.add("acme/noise", {"config.json": LLAMA, "model.safetensors": b"\xff" * 64})
    with pytest.raises(InputError, match=r"model\.safetensors of acme/noise is no safetensors"):
        ask("acme/noise")
    hub.add("acme/half", {**TINY, "model.safetensors.index.json": {"weight_map": {"a": "b"}}})
    with pytest.raises(InputError, match="names b, which is not there"):
        ask("acme/half")


def test_a_config_of_another_model_is_an_error_with_both_counts(hub: Hub, ask: Ask) -> None:
    hub.add("acme/mixed", {**TINY, "config.json": {**LLAMA, "num_hidden_layers": 3}})
    with pytest.raises(InputError, match=r"describes 123,[\d,]+ weights, the checkpoint holds 86,"):
        ask("acme/mixed")


def test_a_hub_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot reach http://127\.0\.0\.1:9 for acme/tiny"):
        hub_model("acme/tiny", revision=None, refresh=False, progress=print)


# --- through the program -------------------------------------------------------------------


def plan(home: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("llmbudget")), "plan", *args, "-o", "json"]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    return subprocess.run(
        command, check=False, capture_output=True, text=True,
        env={**inherited, "LLMBUDGET_HOME": str(home), "HF_HOME": str(home / "hf"), **environment},
    )  # fmt: skip


def test_a_mirror_is_asked_and_then_nobody(hub: Hub, tmp_path: Path) -> None:
    online = plan(tmp_path, "acme/tiny", HF_ENDPOINT=hub.endpoint)
    assert online.returncode == 0, online.stderr
    assert json.loads(online.stdout)["model"]["parameters"] == LLAMA_WEIGHTS
    assert online.stderr == "reading the headers of 1 weight files of acme/tiny\n"
    offline = plan(tmp_path, "acme/tiny", HF_HUB_OFFLINE="1")
    assert offline.returncode == 0, offline.stderr
    unknown = plan(tmp_path, "acme/other", HF_HUB_OFFLINE="1")
    assert unknown.returncode == 2
    assert "HF_HUB_OFFLINE is set, and nothing is known yet of acme/other" in unknown.stderr


def test_offline_a_download_answers(hub: Hub, tmp_path: Path) -> None:
    download = (
        "from huggingface_hub import hf_hub_download as get\n"
        "for name in ('config.json', 'model.safetensors'): get('acme/tiny', name)"
    )
    environment = {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": hub.endpoint}
    subprocess.run(
        [sys.executable, "-c", download], check=True, capture_output=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    offline = plan(tmp_path, "acme/tiny", HF_HUB_OFFLINE="1")
    assert offline.returncode == 0, offline.stderr
    assert json.loads(offline.stdout)["model"]["source"].startswith("download: ")


def test_a_bundled_model_needs_nobody(tmp_path: Path) -> None:
    done = plan(tmp_path, "mlabonne/phixtral-4x2_8", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    asked = plan(tmp_path, "mlabonne/phixtral-4x2_8@main", HF_ENDPOINT="http://127.0.0.1:9")
    assert asked.returncode == 2
    assert "cannot reach http://127.0.0.1:9" in asked.stderr
    again = plan(
        tmp_path, "mlabonne/phixtral-4x2_8", "--refresh-model", HF_ENDPOINT="http://127.0.0.1:9"
    )
    assert again.returncode == 2
