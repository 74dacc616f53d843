"""What vLLM answers is what the model says: batches of unequal prompts, token for token."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from skyserve_llm.replica.engines import vllm
from skyserve_llm.replica.settings import SETTINGS
from skyserve_llm.service.spec import flag_words, service_spec
from skyserve_llm.types import EngineArgs
from tests.service.plans import candidate, plan


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


def test_every_flag_that_a_service_is_given_is_one_of_vllms(
    vllm_python: Path, vllm_environment: dict[str, str]
) -> None:
    command = [vllm_python, "-m", "vllm.entrypoints.cli.main", "serve", "--help=all"]
    environment = {**os.environ, **vllm_environment}
    told = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, check=True
    ).stdout
    known = set(re.findall(r"--[a-z][-a-z0-9]+", told))
    turned = EngineArgs(
        max_num_batched_tokens=4096,
        max_num_seqs=64,
        kv_cache_dtype="fp8",
        enforce_eager=True,
        dtype="float16",
    )
    service = service_spec(plan([candidate(quantization="fp8")], engine_args=turned), engine="vllm")
    written = {words[0] for words in flag_words(service)}
    assert len(written) >= 9
    assert written <= known
    ours = vllm.command_line("model", [], host="::1", port=1)
    assert {word for word in ours if word.startswith("--")} <= known
    # A flag of the gate under the name of one of vLLM's would never reach vLLM.
    assert known.isdisjoint(setting.flag for setting in SETTINGS)
