"""Which engine serves a model, and the ways a model can fail to be what its architecture says."""

import pytest

from skyserve_llm.planner.engine import choose_engine
from skyserve_llm.sources.registry import architecture_support
from skyserve_llm.types import ArchitectureSupport, EngineChoice, ModelSpec, Quantization
from tests.planner.cards import MIXTRAL, MODELS, PHIXTRAL

PHI_2 = MODELS["microsoft/phi-2"]
LLAMA = MODELS["meta-llama/Llama-3.1-8B-Instruct"]


def chosen(model: ModelSpec) -> EngineChoice:
    return choose_engine(model, architecture_support(model))


def test_phixtral_is_not_vllms_as_it_stands() -> None:
    choice = chosen(PHIXTRAL)
    assert choice.name == "transformers"
    for part in ("PhiForCausalLM", "'phi-msft'", "4 experts", "vLLM 0.32.0 does not serve it"):
        assert part in choice.reason


def test_each_of_phixtrals_contradictions_is_enough() -> None:
    native = PHIXTRAL._replace(model_type="phi")
    by_experts = chosen(native)
    assert by_experts.name == "transformers"
    assert "has 4 experts, which that class does not have" in by_experts.reason
    by_names = chosen(native._replace(num_experts=0, tensor_modules=("h.ln", "h.mixer", "h.moe")))
    assert by_names.name == "transformers"
    assert "laid out as h.ln, h.mixer, h.moe" in by_names.reason
    assert chosen(native._replace(num_experts=0)).name == "vllm"


def test_phi_2_is_vllms_through_its_transformers_backend() -> None:
    assert chosen(PHI_2) == EngineChoice(
        "vllm", "vLLM 0.32.0 serves PhiForCausalLM through its Transformers backend"
    )


def test_vllms_own_classes_are_said_to_be() -> None:
    assert chosen(MIXTRAL) == EngineChoice("vllm", "vLLM 0.32.0 serves MixtralForCausalLM")


def test_another_models_config_class_may_stand_in() -> None:
    kimi = MODELS["moonshotai/Kimi-K2-Instruct"]
    assert (kimi.architecture, kimi.model_type) == ("DeepseekV3ForCausalLM", "kimi_k2")
    assert chosen(kimi).name == "vllm"


def test_a_config_by_custom_code_names_the_flag_it_needs() -> None:
    internlm = MODELS["internlm/internlm2_5-7b-chat"]
    assert chosen(internlm).reason.endswith("its config by --trust-remote-code")
    assert chosen(internlm).trust_remote_code
    assert chosen(PHIXTRAL).trust_remote_code
    assert not chosen(MIXTRAL).trust_remote_code
    assert chosen(internlm._replace(custom_code=False)) == EngineChoice(
        None, "neither vLLM 0.32.0 nor the repository has code for 'internlm2'"
    )


@pytest.mark.parametrize(
    ("architecture", "model_type", "name", "reason"),
    [
        ("GPTNeoForCausalLM", "gpt_neo", "transformers", "has no GPTNeoForCausalLM"),
        ("BaichuanForCausalLM", "baichuan", None, "until 0.23.0"),
        ("BartForConditionalGeneration", "bart", None, "only by a plugin"),
        ("BertModel", "bert", None, "answers no chat"),
        ("MedusaModel", "medusa", None, "answers no chat"),
        ("NoSuchForCausalLM", "nosuch", None, "no code of its own"),
        ("DogeForCausalLM", "doge", "vllm", "Transformers backend"),
    ],
)
def test_what_vllm_does_not_have(
    architecture: str, model_type: str, name: str | None, reason: str
) -> None:
    model = LLAMA._replace(architecture=architecture, model_type=model_type)
    choice = chosen(model)
    assert (choice.name, reason in choice.reason) == (name, True), choice


def test_custom_code_that_vllm_does_not_know_is_our_transformers_engines() -> None:
    model = LLAMA._replace(
        architecture="BaichuanForCausalLM", model_type="baichuan", custom_code=True
    )
    assert chosen(model).name == "transformers"


@pytest.mark.parametrize(
    ("method", "name", "part"),
    [
        ("awq", "vllm", "serves LlamaForCausalLM"),
        ("auto-round", "vllm", "serves LlamaForCausalLM"),
        ("bitsandbytes", "transformers", "vLLM 0.32.0 loads no bitsandbytes weights"),
        ("gguf", "vllm", "gguf weights by a plugin (vllm[extra-quant])"),
    ],
)
def test_weights_that_vllm_does_not_load(method: str, name: str, part: str) -> None:
    choice = chosen(LLAMA._replace(quantization=Quantization(method=method, bits=4)))
    assert (choice.name, part in choice.reason) == (name, True), choice


def test_a_reason_is_one_line() -> None:
    for model in MODELS.values():
        assert "\n" not in chosen(model).reason


def test_nothing_known_of_an_architecture_is_no_contradiction() -> None:
    support = ArchitectureSupport(vllm_version="0.0", kind="text")
    odd = LLAMA._replace(num_experts=8, tensor_modules=("anything.goes",))
    assert choose_engine(odd, support).name == "vllm"
