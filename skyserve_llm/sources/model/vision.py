"""How many weights a vision tower has, with what joins it to the language model, in closed form.

Forms of transformers 5.19 (models/<name>/modeling_<name>.py), held to them by the tests. A tower
that is not here is unknown, and said to be.
"""

from collections.abc import Callable
from math import prod

from skyserve_llm.sources.model.config import ModelConfig

_PATCH_CHANNELS = 3


def vision_weights(config: ModelConfig) -> int | None:
    """The tower and its projector; 0 where there is none, None where its size is not known.

    Raises:
        InputError: a known tower's config lacks a size, or states an impossible one.
    """
    vision = config.vision
    if vision is None:
        return 0
    served = config.served_type
    tower = TOWERS.get(vision.text("model_type")) or TOWERS.get(served)
    joint = _JOINTS.get(served)
    if tower is None or joint is None:
        return None
    return tower(vision) + joint(vision, config, config.integer("hidden_size"))


# --- towers --------------------------------------------------------------------------------


def _patches(vision: ModelConfig) -> int:
    return (vision.integer("image_size") // vision.integer("patch_size")) ** 2


def _patch_values(vision: ModelConfig) -> int:
    return _PATCH_CHANNELS * vision.integer("patch_size") ** 2


def _plain_layers(vision: ModelConfig) -> int:
    """Layers with four biased projections, a biased MLP of two matrices and two LayerNorms."""
    hidden, inner = vision.integer("hidden_size"), vision.integer("intermediate_size")
    layer = 4 * (hidden * hidden + hidden) + 2 * hidden * inner + inner + hidden + 4 * hidden
    return vision.integer("num_hidden_layers") * layer


def _siglip(vision: ModelConfig) -> int:
    hidden, inner = vision.integer("hidden_size"), vision.integer("intermediate_size")
    embeddings = hidden * (_patch_values(vision) + 1) + _patches(vision) * hidden
    head = 0
    if vision.flag("vision_use_head", True):
        head = 4 * (hidden * hidden + hidden) + 2 * hidden * inner + inner + hidden + 3 * hidden
    return embeddings + _plain_layers(vision) + 2 * hidden + head


def _clip(vision: ModelConfig) -> int:
    hidden = vision.integer("hidden_size")
    embeddings = hidden * _patch_values(vision) + (_patches(vision) + 2) * hidden
    return embeddings + _plain_layers(vision) + 4 * hidden


def _llama4(vision: ModelConfig) -> int:
    adapter = vision.integer("intermediate_size") * vision.integer("projector_input_dim")
    adapter += vision.integer("projector_output_dim") ** 2
    return _clip(vision) + adapter


def _pixtral(vision: ModelConfig) -> int:
    hidden, inner = vision.integer("hidden_size"), vision.integer("intermediate_size")
    layer = 4 * hidden * hidden + 3 * hidden * inner + 2 * hidden
    return hidden * _patch_values(vision) + hidden + vision.integer("num_hidden_layers") * layer


def _gemma4(vision: ModelConfig) -> int:
    hidden, inner = vision.integer("hidden_size"), vision.integer("intermediate_size")
    dim, heads = vision.integer("head_dim"), vision.integer("num_attention_heads")
    keys = vision.integer("num_key_value_heads", heads) * dim
    layer = 2 * hidden * heads * dim + 2 * hidden * keys + 3 * hidden * inner
    layer += 4 * hidden + 2 * dim
    positions = 2 * vision.integer("position_embedding_size") * hidden
    scales = 2 * hidden if vision.flag("standardize", False) else 0
    patches = hidden * _patch_values(vision) + positions + scales
    return patches + vision.integer("num_hidden_layers") * layer


def _kimi(vision: ModelConfig) -> int:
    """MoonViT (arXiv:2504.07491) with Kimi K2.5's learned positions."""
    hidden = vision.integer("hidden_size")
    positions = vision.integer("pos_emb_height") * vision.integer("pos_emb_width")
    patches = hidden * (_patch_values(vision) + 1) + positions * hidden
    return patches + _plain_layers(vision) + 2 * hidden


def _qwen2_vl(vision: ModelConfig) -> int:
    hidden = vision.integer("embed_dim")
    inner = int(hidden * vision.number("mlp_ratio", vision.get("mlp_ratio")))
    layer = 4 * (hidden * hidden + hidden) + 2 * hidden * inner + inner + hidden + 4 * hidden
    patches = hidden * _patch_values(vision) * vision.integer("temporal_patch_size")
    merger = 2 * hidden + _merger(vision, hidden, vision.integer("hidden_size"))
    return patches + vision.integer("depth") * layer + merger


def _qwen2_5_vl(vision: ModelConfig) -> int:
    hidden, inner = vision.integer("hidden_size"), vision.integer("intermediate_size")
    layer = 4 * (hidden * hidden + hidden) + 3 * hidden * inner + 2 * inner + hidden + 2 * hidden
    patches = hidden * _patch_values(vision) * vision.integer("temporal_patch_size")
    merger = hidden + _merger(vision, hidden, vision.integer("out_hidden_size"))
    return patches + vision.integer("depth") * layer + merger


def _qwen3_vl(vision: ModelConfig) -> int:
    hidden, inner = vision.integer("hidden_size"), vision.integer("intermediate_size")
    layer = 4 * (hidden * hidden + hidden) + 2 * hidden * inner + inner + hidden + 4 * hidden
    patches = hidden * (_patch_values(vision) * vision.integer("temporal_patch_size") + 1)
    patches += vision.integer("num_position_embeddings") * hidden
    merger = _merger(vision, hidden, vision.integer("out_hidden_size"))
    deep = len(vision.integers("deepstack_visual_indexes") or ())
    merged = hidden * vision.integer("spatial_merge_size") ** 2
    mergers = 2 * hidden + merger + deep * (2 * merged + merger)
    return patches + vision.integer("depth") * layer + mergers


def _merger(vision: ModelConfig, hidden: int, out: int) -> int:
    """Two biased matrices over the patches of one merged square."""
    merged = hidden * vision.integer("spatial_merge_size") ** 2
    return merged * merged + merged + merged * out + out


TOWERS: dict[str, Callable[[ModelConfig], int]] = {
    "clip_vision_model": _clip,
    "gemma4_vision": _gemma4,
    "kimi_k25": _kimi,
    "llama4_vision_model": _llama4,
    "pixtral": _pixtral,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen2_vl": _qwen2_vl,
    "qwen3_5": _qwen3_vl,
    "qwen3_5_moe": _qwen3_vl,
    "qwen3_vl": _qwen3_vl,
    "qwen3_vl_moe": _qwen3_vl,
    "siglip_vision_model": _siglip,
}
"""By the tower's own model type, or by that of the model it stands in."""


# --- what joins a tower to its language model ----------------------------------------------


def _gemma3_joint(vision: ModelConfig, model: ModelConfig, text: int) -> int:
    return vision.integer("hidden_size") * (text + 1)


def _gemma4_joint(vision: ModelConfig, model: ModelConfig, text: int) -> int:
    return vision.integer("hidden_size") * text


def _paligemma_joint(vision: ModelConfig, model: ModelConfig, text: int) -> int:
    return (vision.integer("hidden_size") + 1) * text


def _llava_joint(vision: ModelConfig, model: ModelConfig, text: int) -> int:
    layers = model.outer.get("vision_feature_layer")
    features = vision.integer("hidden_size") * (len(layers) if isinstance(layers, list) else 1)
    bias = 2 * text if model.flag("multimodal_projector_bias", True) else 0
    return features * text + text * text + bias


def _llava_next_joint(vision: ModelConfig, model: ModelConfig, text: int) -> int:
    return _llava_joint(vision, model, text) + text  # the newline between rows of patches


def _mistral3_joint(vision: ModelConfig, model: ModelConfig, text: int) -> int:
    hidden = vision.integer("hidden_size")
    merger = hidden * hidden * model.integer("spatial_merge_size", 2) ** 2
    bias = 2 * text if model.flag("multimodal_projector_bias", False) else 0
    return hidden + merger + hidden * text + text * text + bias


def _llama4_joint(vision: ModelConfig, model: ModelConfig, text: int) -> int:
    return vision.integer("vision_output_dim") * text


def _kimi_joint(vision: ModelConfig, model: ModelConfig, text: int) -> int:
    merged = vision.integer("hidden_size") * prod(vision.integers("merge_kernel_size") or (2, 2))
    norm = 2 * vision.integer("mm_hidden_size", model.integer("projection_hidden_size", 1152))
    return norm + merged * merged + merged + merged * text + text


def _no_joint(vision: ModelConfig, model: ModelConfig, text: int) -> int:
    return 0  # the tower's own merger ends in the language model's width


_JOINTS: dict[str, Callable[[ModelConfig, ModelConfig, int], int]] = {
    "gemma3": _gemma3_joint,
    "gemma4": _gemma4_joint,
    "kimi_k25": _kimi_joint,
    "llama4": _llama4_joint,
    "llava": _llava_joint,
    "llava_next": _llava_next_joint,
    "mistral3": _mistral3_joint,
    "paligemma": _paligemma_joint,
    "qwen2_5_vl": _no_joint,
    "qwen2_vl": _no_joint,
    "qwen3_5": _no_joint,
    "qwen3_5_moe": _no_joint,
    "qwen3_vl": _no_joint,
    "qwen3_vl_moe": _no_joint,
}
"""By the model type of the whole."""
