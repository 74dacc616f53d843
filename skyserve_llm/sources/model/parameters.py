"""How many weights a config describes, in closed form, by family.

The forms follow the modules of transformers 5.19 and are exact: they give what instantiating
each model on the meta device gives, and what it saves, to the weight (the tests). Layers for
multi-token prediction are left out, as vLLM leaves them out unless asked. A family that is not
known is refused, never counted as if it were a Llama.
"""

from skyserve_llm.sources.model.blocks import blocks
from skyserve_llm.sources.model.config import ModelConfig
from skyserve_llm.sources.model.context import context_length
from skyserve_llm.sources.model.families import Family
from skyserve_llm.sources.model.feed_forward import feed_forward_weights
from skyserve_llm.sources.model.layers import num_hidden_layers
from skyserve_llm.sources.model.mixers import mixer_weights
from skyserve_llm.types import ParameterCounts


def parameter_counts(config: ModelConfig, family: Family, *, vision: int = 0) -> ParameterCounts:
    """Count the weights that a text server loads; ``vision`` is the tower's.

    Raises:
        InputError: a field is missing or impossible.
    """
    hidden, vocab = config.integer("hidden_size"), config.integer("vocab_size")
    width = config.integer("word_embed_proj_dim", hidden)  # OPT-350m embeds narrower
    mixers, feed_forward = mixer_weights(config, family), feed_forward_weights(config, family)
    tied = config.tied(family.tied)
    head = 0 if tied else vocab * (width + config.holds(family.head_bias))
    positions = 0
    if family.positions is not None:
        positions = (context_length(config) + family.positions) * hidden
    around = 2 * width * hidden if width != hidden else 0
    return ParameterCounts(
        embedding=vocab * width,
        lm_head=head,
        attention=mixers.split,
        kv_projection=mixers.kv,
        mlp=feed_forward.dense,
        experts=feed_forward.experts,
        shared_experts=feed_forward.shared,
        replicated=_norms(config, family)
        + feed_forward.routers
        + mixers.whole
        + positions
        + around,
        vision=vision,
    )


def _norms(config: ModelConfig, family: Family) -> int:
    """Norms of hidden width, in the layers and around them."""
    hidden, layers = config.integer("hidden_size"), num_hidden_layers(config)
    listed = blocks(config)
    number = sum(b.norms for b in listed) if listed else layers * _norms_in_layer(config, family)
    number += family.final_norm and config.flag("do_layer_norm_before", True)
    number += family.embedding_norm
    scalars = layers if config.text("model_type").startswith("gemma4") else 0  # one a layer
    return number * hidden * (2 if family.norm_bias else 1) + scalars


def _norms_in_layer(config: ModelConfig, family: Family) -> int:
    if config.text("model_type") == "falcon":
        if config.flag("new_decoder_architecture", False):
            return config.integer("num_ln_in_parallel_attn", 2)
        return 1 if config.flag("parallel_attn", True) else 2
    if config.flag("use_parallel_residual", False) and config.text("model_type") == "stablelm":
        return 1
    return family.norms
