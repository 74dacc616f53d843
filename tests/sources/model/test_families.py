"""Every family's closed form against what transformers saves: two countings of one model.

``checkpoints.jsonl`` holds tiny random models of each family (``make_checkpoints``). The closed
form sees only the config, the other counting only names and shapes of tensors; both must tell
how many weights split over ranks, by KV heads, with the experts, or not at all.
"""

import pytest

from skyserve_llm.errors import InputError
from skyserve_llm.planner.engine import choose_engine, contradiction
from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.families import FAMILIES
from skyserve_llm.sources.model.parameters import parameter_counts
from skyserve_llm.sources.model.spec import model_spec
from skyserve_llm.sources.model.tensors import Checkpoint, count_checkpoint
from skyserve_llm.sources.model.vision import vision_weights
from skyserve_llm.sources.registry import architecture_support
from tests.sources.model.checkpoints import CHECKPOINTS, Saved, label


def family_of(saved: Saved) -> str:
    return ModelConfig(saved.config, origin="test").text("model_type")


KNOWN = [saved for saved in CHECKPOINTS if family_of(saved) in FAMILIES]
STRANGE = [saved for saved in CHECKPOINTS if family_of(saved) not in FAMILIES]
WITH_KNOWN_TOWER = [s for s in KNOWN if vision_weights(ModelConfig(s.config, origin="t"))]


def counted(saved: Saved) -> Checkpoint:
    return count_checkpoint(saved.config, saved.tensors, model_id="test", files=1)


@pytest.mark.parametrize("saved", KNOWN, ids=label)
def test_the_closed_form_is_what_the_checkpoint_holds(saved: Saved) -> None:
    config = ModelConfig(saved.config, origin="test")
    vision = vision_weights(config)
    held = counted(saved).parameters
    described = parameter_counts(config, FAMILIES[family_of(saved)], vision=vision or 0)
    if vision is None:
        held = held._replace(vision=0)
    assert described == held


@pytest.mark.parametrize("saved", CHECKPOINTS, ids=label)
def test_every_tensor_counts_for_one_part(saved: Saved) -> None:
    checkpoint = counted(saved)
    assert checkpoint.parameters.total == saved.weights
    assert checkpoint.size_bytes == 2 * saved.weights
    assert checkpoint.dtypes == (("BF16", saved.weights),)


def test_vision_towers_are_among_them() -> None:
    towers = {saved.config["model_type"] for saved in WITH_KNOWN_TOWER}
    assert {"gemma3", "llava", "mistral3", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "llama4"} <= towers


@pytest.mark.parametrize("saved", STRANGE, ids=label)
def test_a_family_we_do_not_know_is_planned_by_its_weights_alone(saved: Saved) -> None:
    with pytest.raises(InputError, match="'model_type'"):
        model_spec(saved.config, model_id="test", source="test")
    try:
        model = model_spec(saved.config, model_id="test", source="test", weights=counted(saved))
    except InputError as error:
        # Honest where the config tells of layers whose memory we cannot know.
        assert "layer_types" in error.message or "key and value channels" in error.message
    else:
        assert model.parameters.total == saved.weights


def test_some_family_that_we_do_not_know_is_planned() -> None:
    planned = 0
    for saved in STRANGE:
        try:
            model_spec(saved.config, model_id="test", source="test", weights=counted(saved))
        except InputError:
            continue
        planned += 1
    assert planned >= 2


@pytest.mark.parametrize("saved", KNOWN, ids=label)
def test_no_familys_own_names_contradict_its_architecture(saved: Saved) -> None:
    model = model_spec(saved.config, model_id="test", source="test", weights=counted(saved))
    support = architecture_support(model)
    assert contradiction(model, support) is None, support.kind
    assert choose_engine(model, support).name is not None


def test_weights_of_another_model_are_refused_with_both_counts() -> None:
    llama = CHECKPOINTS[0]
    deeper = {**llama.config, "num_hidden_layers": 8}
    with pytest.raises(InputError, match=r"describes 267,328 weights.* holds 82,240"):
        model_spec(deeper, model_id="test", source="test", weights=counted(llama))
