"""Services on this machine: the backend of ``llmbudget deploy --local``."""

from skyserve_llm.service.local.backend import LocalBackend

__all__ = ["LocalBackend"]
