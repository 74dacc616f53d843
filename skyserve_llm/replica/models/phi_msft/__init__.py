"""A plugin of vLLM's that serves ``phi-msft`` checkpoints, phixtral among them.

Microsoft published Phi-1.5 and Phi-2 with code of their own, and mlabonne's phixtral put four
of them together as a mixture of experts. Their configs name code of an old transformers, so
vLLM cannot serve them as they stand. Here is the same network on vLLM's layers, loaded from the
checkpoint's own tensor names: no code out of a repository runs.

`config` reads config.json, `model` is the network, `experts` its mixture. vLLM finds `register`
as the entry point ``vllm.general_plugins`` in each of its processes.
"""

ARCHITECTURE = "PhiMsftForCausalLM"
"""Not the ``PhiForCausalLM`` of the published configs, which vLLM keeps for another layout."""

MODEL_TYPE = "phi-msft"


def register() -> None:
    """Tell vLLM and transformers of the model; vLLM may call this more than once a process."""
    from transformers import AutoConfig
    from vllm import ModelRegistry

    from skyserve_llm.replica.models.phi_msft.config import PhiMsftConfig

    # A class that is registered goes before the repository's own, whatever flag is given.
    AutoConfig.register(MODEL_TYPE, PhiMsftConfig, exist_ok=True)
    # By name: whoever lists models must not import the network (nor touch CUDA) for it.
    ModelRegistry.register_model(ARCHITECTURE, f"{__name__}.model:PhiMsftForCausalLM")
