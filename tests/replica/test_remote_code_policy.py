"""Whose code runs on a GPU machine: nobody's by accident, and tomorrow the same as today."""

from typing import Any

import pytest

from skyserve_llm.replica.engines.transformers import policy
from skyserve_llm.replica.errors import StartError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PHIXTRAL = {
    "model_type": "phi-msft",
    "auto_map": {
        "AutoConfig": "configuration_phi.PhiConfig",
        "AutoModelForCausalLM": "modeling_phi.PhiForCausalLM",
    },
}
LLAMA: dict[str, Any] = {"model_type": "llama"}
# A model that the library knows, with code of its own beside it all the same.
BOTH = {**PHIXTRAL, "model_type": "llama"}
ELSEWHERE = {**PHIXTRAL, "auto_map": {"AutoModelForCausalLM": "other/code--modeling.Model"}}


def check(config: dict[str, Any], tokenizer: dict[str, Any] | None = None, **said: Any) -> bool:
    answers = {"is_folder": False, "trust": False, "revision": None, "code_revision": None} | said
    return policy.check_remote_code(
        "org/model", config, tokenizer or {}, known_types={"llama"}, **answers
    )


def test_a_model_that_needs_its_own_code_needs_a_word() -> None:
    with pytest.raises(StartError, match="nobody trusted yet") as refused:
        check(PHIXTRAL, revision=COMMIT)
    assert "--trust-remote-code" in (refused.value.hint or "")


@pytest.mark.parametrize("revision", [None, "main", "v1.0", COMMIT[:8], COMMIT.upper()])
def test_trust_is_in_one_commit_not_in_a_branch(revision: str | None) -> None:
    with pytest.raises(StartError, match="--revision with a whole commit id"):
        check(PHIXTRAL, trust=True, revision=revision)


def test_trusted_and_pinned_runs() -> None:
    assert check(PHIXTRAL, trust=True, revision=COMMIT)
    assert check(BOTH, trust=True, revision=COMMIT)


def test_a_folders_code_is_what_lies_there() -> None:
    assert check(PHIXTRAL, trust=True, is_folder=True)
    with pytest.raises(StartError, match="nobody trusted yet"):
        check(PHIXTRAL, is_folder=True)


def test_code_that_is_not_needed_does_not_run_unasked() -> None:
    assert not check(BOTH)
    assert not check(LLAMA)
    assert not check(LLAMA, trust=True)


def test_code_of_another_repository_is_pinned_too() -> None:
    with pytest.raises(StartError, match=r"other/code--modeling\.Model"):
        check(ELSEWHERE, trust=True, revision=COMMIT)
    assert check(ELSEWHERE, trust=True, revision=COMMIT, code_revision=COMMIT)


def test_a_tokenizers_code_counts_as_well() -> None:
    tokenizer = {"auto_map": {"AutoTokenizer": [None, "tokenization_own.OwnTokenizer"]}}
    assert not check(LLAMA, tokenizer)
    with pytest.raises(StartError, match="whole commit id"):
        check(LLAMA, tokenizer, trust=True)
    assert check(LLAMA, tokenizer, trust=True, revision=COMMIT)


def test_the_context_is_the_models_or_shorter() -> None:
    assert policy.context_length("m", 2048, None) == 2048
    assert policy.context_length("m", 2048, 1024) == 1024
    assert policy.context_length("m", None, 1024) == 1024
    with pytest.raises(StartError, match="more than m can: 2048"):
        policy.context_length("m", 2048, 2049)
    with pytest.raises(StartError, match="names no context length"):
        policy.context_length("m", None, None)


def test_quantized_weights_are_not_quantized_again() -> None:
    policy.check_quantization(LLAMA, "bitsandbytes-4bit")
    stored = {"quantization_config": {"quant_method": "awq"}}
    policy.check_quantization(stored, None)
    with pytest.raises(StartError, match="with awq"):
        policy.check_quantization(stored, "bitsandbytes-4bit")
