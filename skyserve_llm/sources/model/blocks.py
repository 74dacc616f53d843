"""Models whose layers differ one by one: NVIDIA's searched architectures (``block_configs``).

Follows vllm/model_executor/models/nemotron_nas.py: a layer may lack attention or its MLP, or have
a plain linear layer in its place, and each has a width of its own.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from skyserve_llm.sources.model.config import ModelConfig


class Block(NamedTuple):
    """One layer: KV heads (0: no attention) and inner width (0: no MLP).

    ``linear`` counts the parts that are one hidden x hidden matrix instead, which have neither;
    ``norms`` those of hidden width.
    """

    kv_heads: int
    width: int
    linear: int
    norms: int


def blocks(config: ModelConfig) -> list[Block] | None:
    """The layers one by one; None where the config does not list them.

    Raises:
        InputError: the list is not one entry a layer, or an entry has no usable size.
    """
    listed = config.objects("block_configs")
    if listed is None:
        return None
    if len(listed) != config.integer("num_hidden_layers"):
        raise config.error("block_configs", f"a list of {len(listed)}", "one entry a layer")
    return [_block(config, number, entry) for number, entry in enumerate(listed)]


def _block(config: ModelConfig, number: int, entry: Mapping[str, Any]) -> Block:
    attention, mlp = entry.get("attention"), entry.get("ffn")
    where = f"block_configs[{number}]"
    if not isinstance(attention, Mapping) or not isinstance(mlp, Mapping):
        raise config.error(where, entry, "an object with attention and ffn")
    kv_heads = width = linear = norms = 0
    if not attention.get("no_op"):
        norms += 1
        if attention.get("replace_with_linear"):
            linear += 1
        else:
            kv_heads = _kv_heads(config, f"{where}.attention", attention)
    if not mlp.get("no_op"):
        norms += 1
        if mlp.get("replace_with_linear"):
            linear += 1
        else:
            width = _width(config, f"{where}.ffn", mlp)
    return Block(kv_heads=kv_heads, width=width, linear=linear, norms=norms)


def _kv_heads(config: ModelConfig, where: str, attention: Mapping[str, Any]) -> int:
    heads, group = config.integer("num_attention_heads"), attention.get("n_heads_in_group")
    if type(group) is not int or group < 1 or heads % group:
        raise config.error(f"{where}.n_heads_in_group", group, f"a divisor of {heads}")
    return heads // group


def _width(config: ModelConfig, where: str, mlp: Mapping[str, Any]) -> int:
    if mlp.get("intermediate_size") is not None:
        return int(config.number(f"{where}.intermediate_size", mlp["intermediate_size"]))
    # _ffn_mult_to_intermediate_size: two thirds of the multiple, up to the next 256.
    multiple = config.number(f"{where}.ffn_mult", mlp.get("ffn_mult"))
    return -(-int(2 * multiple * config.integer("hidden_size") / 3) // 256) * 256
