"""A model's name to its facts: bundled ids, and the order in which places are asked."""

import json
from pathlib import Path

import pytest

from skyserve_llm.errors import InputError
from skyserve_llm.sources import hub
from skyserve_llm.sources.hub import bundled_models, load_model
from skyserve_llm.sources.hub.generate import specs
from tests.sources.hub.models import LLAMA


def test_a_bundled_model_is_found_by_id_alias_and_any_case() -> None:
    assert load_model("mlabonne/phixtral-4x2_8").num_experts == 4
    assert load_model("MLABONNE/PHIXTRAL-4X2_8").id == "mlabonne/phixtral-4x2_8"
    alias = load_model("mistralai/Mixtral-8x7B-Instruct-v0.1")
    assert alias.id == "mistralai/Mixtral-8x7B-Instruct-v0.1"
    assert alias.parameters == load_model("mistralai/Mixtral-8x7B-v0.1").parameters


def test_the_bundled_specs_are_what_their_configs_mean() -> None:
    """After a change of either: python -m skyserve_llm.sources.hub.generate"""
    shipped = Path(hub.__file__).with_name("specs.json").read_text(encoding="utf-8")
    assert shipped == specs()


def test_every_bundled_model_says_where_its_facts_are_from() -> None:
    for model in bundled_models():
        assert model.source.startswith("bundled: ")
        assert len(model.source) > len("bundled: ")


def test_bundled_names_are_unique() -> None:
    ids = [model.id.lower() for model in bundled_models()]
    assert len(ids) == len(set(ids)) == 75


def test_a_nested_bundled_model_carries_its_tower() -> None:
    gemma = load_model("google/gemma-3-4b-it")
    assert gemma.model_type == "gemma3"
    assert gemma.parameters.vision == 419_816_304  # SigLIP so400m and the projector


def test_facts_that_the_preset_had_wrong() -> None:
    assert load_model("meta-llama/Llama-2-13b-chat-hf").max_position_embeddings == 4096
    assert load_model("microsoft/phi-2").model_type == "phi"


def test_a_folder_comes_before_a_bundled_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "microsoft" / "phi-2"
    own.mkdir(parents=True)
    (own / "config.json").write_text(json.dumps(LLAMA))
    monkeypatch.chdir(tmp_path)
    assert load_model("microsoft/phi-2").model_type == "llama"


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(InputError, match="for mlabonne/phixtral-4x2:") as caught:
        load_model("mlabonne/phixtral-4x2")
    assert "mlabonne/phixtral-4x2_8" in (caught.value.hint or "")


def test_two_revisions_are_one_too_many() -> None:
    with pytest.raises(InputError, match="which of the two"):
        load_model("microsoft/phi-2@main", revision="v1")
