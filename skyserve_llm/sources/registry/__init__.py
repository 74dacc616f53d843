"""What releases of vLLM and transformers implement, from their source (``generate``).

``vllm.json``      architectures, model types, quantization methods, what was dropped
``modules.json``   the names each text architecture gives to parts of a model
``defaults.json``  what a nested config leaves out, because it equals its class's default
"""

from skyserve_llm.sources.registry.read import architecture_support, nested_defaults

__all__ = ["architecture_support", "nested_defaults"]
