"""Networks that vLLM does not know, written on its layers: each folder is a plugin of vLLM's."""

PLUGINS = {"phi_msft": "skyserve_llm.replica.models.phi_msft:register"}
"""As entry points of ``vllm.general_plugins``; pyproject.toml has the same for a wheel."""
