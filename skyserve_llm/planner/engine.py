"""Which engine serves a model: vLLM itself, vLLM's Transformers backend, our transformers engine.

Pure rules on the model's facts and on what a vLLM release knows of its architecture. The order is
vLLM's own (vllm/model_executor/models/registry.py, ``resolve_model_cls``); before it stands what
vLLM would only find out while loading: an architecture's name that the rest of the config, or the
weights, contradict.
"""

from skyserve_llm.types import ArchitectureSupport, EngineChoice, ModelSpec


def choose_engine(model: ModelSpec, support: ArchitectureSupport) -> EngineChoice:
    """Name the engine and say why, in one line."""
    version, name = support.vllm_version, model.architecture
    conflict = contradiction(model, support)
    if conflict:
        return _own_code(model, support, f"{conflict}: vLLM {version} does not serve it")
    if support.kind in ("pooling", "draft"):
        use = "embeds and classifies with it" if support.kind == "pooling" else "drafts with it"
        return EngineChoice(None, f"vLLM {version} only {use}: {name} answers no chat")
    if support.kind in ("foreign", "unknown"):
        return _own_code(model, support, _absence(name, support))
    method = model.quantization.method if model.quantization else None
    if not support.quantization_known and not support.quantization_extra:
        return _own_code(model, support, f"vLLM {version} loads no {method} weights")
    if not support.model_type_known and not model.custom_code:
        return EngineChoice(
            None, f"neither vLLM {version} nor the repository has code for '{model.model_type}'"
        )
    native = support.kind in ("text", "multimodal")
    how = "" if native else " through its Transformers backend"
    needs = "" if support.model_type_known else ", its config by --trust-remote-code"
    if support.quantization_extra:
        needs += f", {method} weights by a plugin (vllm[{support.quantization_extra}])"
    return EngineChoice(
        "vllm", f"vLLM {version} serves {name}{how}{needs}", not support.model_type_known
    )


def contradiction(model: ModelSpec, support: ArchitectureSupport) -> str | None:
    """How the model is not what its architecture's name says; None where all agree."""
    declared = f"declares {model.architecture} but"
    # A model type that vLLM or transformers knows is read by a config class of theirs, which may
    # stand in for another's (Kimi K2's for DeepSeek-V3's).
    if support.model_types and not support.model_type_known:
        experts = f" with {model.num_experts} experts" if model.num_experts else ""
        return f"{declared} is '{model.model_type}'{experts}, custom code"
    if model.num_experts > 1 and support.experts is False:
        return f"{declared} has {model.num_experts} experts, which that class does not have"
    strange = [
        part
        for part in model.tensor_modules
        if support.modules and not support.modules.issuperset(part.split("."))
    ]
    if strange:
        return f"{declared} its weights are laid out as {', '.join(strange[:3])}"
    return None


def _absence(name: str, support: ArchitectureSupport) -> str:
    if support.last_version:
        return f"vLLM had {name} until {support.last_version}, {support.vllm_version} has not"
    if support.plugin:
        return f"vLLM {support.vllm_version} has {name} only by a plugin ({support.plugin})"
    return f"vLLM {support.vllm_version} has no {name}"


def _own_code(model: ModelSpec, support: ArchitectureSupport, why: str) -> EngineChoice:
    """Our transformers engine, where there is code for it to run."""
    in_transformers = support.kind in ("foreign", "compatible", "transformers") or (
        bool(support.model_types) and model.model_type in support.model_types
    )
    if model.custom_code:
        reason = f"{why}; transformers runs the repository's own code"
        return EngineChoice("transformers", reason, trust_remote_code=True)
    if in_transformers and support.model_type_known:
        return EngineChoice("transformers", f"{why}; transformers does")
    return EngineChoice(None, f"{why}, and the repository brings no code of its own")
