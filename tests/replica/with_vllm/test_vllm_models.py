"""What vLLM answers is what the model says: batches of unequal prompts, token for token."""

from typing import Any

import pytest


@pytest.mark.parametrize("model", ["mixtral", "phixtral", "phi"])
def test_greedy_answers_of_a_batch_are_the_models_own(
    start_vllm: Any, greedy_answers: Any, checkpoints: Any, model: str
) -> None:
    # Whatever flag is given, the code that lies in phixtral's folder does not run: it would end
    # the process.
    replica = start_vllm(model, "--trust-remote-code")
    try:
        assert greedy_answers(replica) == checkpoints.expected[model]
    finally:
        replica.kill()


def test_the_reference_goes_through_every_pair_of_experts(checkpoints: Any) -> None:
    assert len(checkpoints.expected["pairs_of_experts"]) == 6
