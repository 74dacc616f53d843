"""How much of an image one token of the language model stands for, and what that takes.

vLLM profiles a vision tower with as many of the largest images as fit a batch, so that the
tower's peak depends on how many patches go into a token. Rules of each family's own processor in
vllm/model_executor/models; a family that is not here is unknown, and said to be.
"""

from typing import NamedTuple

from skyserve_llm.sources.model.config import ModelConfig


class _Rule(NamedTuple):
    """``patches`` go into a token of the language model; the largest image makes ``tokens``."""

    patches: int
    tokens: int
    hidden: str = "hidden_size"


_MERGED = _Rule(patches=4, tokens=16384)
"""Squares of 2 x 2 patches, and no more pixels than make so many of them (``max_pixels``)."""

_RULES = {
    "gemma3": _Rule(patches=16, tokens=256),
    "gemma4": _Rule(patches=9, tokens=280),
    "kimi_k25": _Rule(patches=4, tokens=4096),
    "llama4": _Rule(patches=4, tokens=2448),
    "llava": _Rule(patches=1, tokens=576),
    "mistral3": _Rule(patches=4, tokens=3025),
    "qwen2_vl": _MERGED._replace(hidden="embed_dim"),
    "qwen2_5_vl": _MERGED,
    "qwen3_vl": _MERGED,
    "qwen3_vl_moe": _MERGED,
    "qwen3_5": _MERGED,
    "qwen3_5_moe": _MERGED,
}


def image_tokens(config: ModelConfig) -> tuple[int, int, int]:
    """(tokens of the largest image, values whole and values split that the tower holds for one);
    zeros where there is no tower or its rule is not known.

    Raises:
        InputError: a known tower's config lacks a size, or states an impossible one.
    """
    vision, rule = config.vision, _RULES.get(config.served_type)
    if vision is None or rule is None:
        return 0, 0, 0
    hidden = vision.integer(rule.hidden)
    inner = vision.integer("intermediate_size", 4 * hidden)
    # A layer's residual and normed input; its inner layer and that layer's activation.
    return rule.tokens, rule.patches * 2 * hidden, rule.patches * 2 * inner
