"""Where a model's facts lie: a name → ``ModelSpec``.

A name is a local folder, the id of a bundled model, or an id on the Hugging Face Hub. What the
facts mean is ``sources.model``'s to know.
"""

from skyserve_llm.sources.hub.bundled import bundled_models
from skyserve_llm.sources.hub.find import load_model

__all__ = ["bundled_models", "load_model"]
