"""llmbudget: the least you must pay to serve an open LLM well, and the means to do it."""

__version__ = "0.1.0"
