"""The network of a ``phi-msft`` checkpoint, on vLLM's layers.

Each layer adds attention and MLP, both of the same normalized input, to what came in. After the
repositories' modeling_phi.py; transformers' convert_phi_weights_to_hf.py names the tensors too.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import torch
from torch import nn
from transformers import PretrainedConfig
from vllm.compilation.decorators import support_torch_compile
from vllm.config import CacheConfig, VllmConfig
from vllm.distributed import (
    get_tensor_model_parallel_rank,
    get_tensor_model_parallel_world_size,
)
from vllm.model_executor.layers.attention import Attention
from vllm.model_executor.layers.linear import QKVParallelLinear, RowParallelLinear
from vllm.model_executor.layers.logits_processor import LogitsProcessor
from vllm.model_executor.layers.quantization import QuantizationConfig
from vllm.model_executor.layers.rotary_embedding import get_rope
from vllm.model_executor.layers.vocab_parallel_embedding import (
    ParallelLMHead,
    VocabParallelEmbedding,
)
from vllm.model_executor.models.utils import AutoWeightsLoader, WeightsMapper, maybe_prefix

from skyserve_llm.replica.models.phi_msft.mlp import PhiMsftMLP, PhiMsftMoE

Quantization: TypeAlias = QuantizationConfig | None


class PhiMsftAttention(nn.Module):
    """Attention with biases; the first ``rotary_dim`` elements of a head are rotated."""

    def __init__(
        self, config: PretrainedConfig, cache: CacheConfig, quantization: Quantization, prefix: str
    ) -> None:
        super().__init__()
        # The checkpoint stacks all queries, then keys, then values: vLLM's own order.
        self.Wqkv = QKVParallelLinear(
            config.n_embd,
            config.head_dim,
            config.n_head,
            config.n_head_kv,
            bias=True,
            quant_config=quantization,
            prefix=f"{prefix}.Wqkv",
        )
        self.out_proj = RowParallelLinear(
            config.n_embd,
            config.n_embd,
            bias=True,
            quant_config=quantization,
            prefix=f"{prefix}.out_proj",
        )
        self.rotary_emb = get_rope(
            config.head_dim,
            max_position=config.n_positions,
            # The base is modeling_phi.py's own; no config has ever named one.
            rope_parameters={"rope_theta": 10_000.0, "rope_dim": config.rotary_dim},
        )
        ranks = get_tensor_model_parallel_world_size()
        heads, kv_heads = config.n_head // ranks, max(1, config.n_head_kv // ranks)
        self.sizes = [count * config.head_dim for count in (heads, kv_heads, kv_heads)]
        self.attn = Attention(
            heads,
            config.head_dim,
            scale=config.head_dim**-0.5,
            num_kv_heads=kv_heads,
            cache_config=cache,
            quant_config=quantization,
            prefix=f"{prefix}.attn",
        )

    def forward(self, positions: torch.Tensor, hidden_states: torch.Tensor) -> torch.Tensor:
        qkv, _ = self.Wqkv(hidden_states)
        query, key, value = qkv.split(self.sizes, dim=-1)
        query, key = self.rotary_emb(positions, query, key)
        out, _ = self.out_proj(self.attn(query, key, value))
        return out


class PhiMsftBlock(nn.Module):
    """``x + attention(ln(x)) + mlp(ln(x))``."""

    def __init__(
        self, config: PretrainedConfig, cache: CacheConfig, quantization: Quantization, prefix: str
    ) -> None:
        super().__init__()
        self.ln = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.mixer = PhiMsftAttention(config, cache, quantization, f"{prefix}.mixer")
        if config.is_mixture:
            self.moe: nn.Module = PhiMsftMoE(config, quantization, f"{prefix}.moe")
        else:
            self.mlp: nn.Module = PhiMsftMLP(config, quantization, f"{prefix}.mlp")
        self.is_mixture = config.is_mixture

    def forward(self, positions: torch.Tensor, hidden_states: torch.Tensor) -> torch.Tensor:
        normed = self.ln(hidden_states)
        mlp = self.moe if self.is_mixture else self.mlp
        return hidden_states + self.mixer(positions, normed) + mlp(normed)


@support_torch_compile
class PhiMsftModel(nn.Module):
    """Embedding and layers; the last norm is the head's."""

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config = vllm_config.model_config.hf_config
        self.wte = VocabParallelEmbedding(config.vocab_size, config.n_embd)
        self.h = nn.ModuleList(
            PhiMsftBlock(
                config,
                vllm_config.cache_config,
                vllm_config.quant_config,
                prefix=f"{prefix}.h.{index}",
            )
            for index in range(config.n_layer)
        )

    def embed_input_ids(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.wte(input_ids)

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        inputs_embeds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        hidden_states = self.embed_input_ids(input_ids) if inputs_embeds is None else inputs_embeds
        for block in self.h:
            hidden_states = block(positions, hidden_states)
        return hidden_states


class PhiMsftForCausalLM(nn.Module):
    """What vLLM's registry is given."""

    hf_to_vllm_mapper = WeightsMapper(
        orig_to_new_substr={
            ".embd.wte.": ".wte.",
            ".moe.mlp.": ".moe.experts.",
            ".rotary_emb.": None,  # frequencies, computed here
        },
        orig_to_new_prefix={"lm_head.ln.": "ln.", "lm_head.linear.": "lm_head."},
    )

    def __init__(self, *, vllm_config: VllmConfig, prefix: str = "") -> None:
        super().__init__()
        config = vllm_config.model_config.hf_config
        self.parallel_config = vllm_config.parallel_config
        self.transformer = PhiMsftModel(
            vllm_config=vllm_config, prefix=maybe_prefix(prefix, "transformer")
        )
        self.ln = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.lm_head = ParallelLMHead(
            config.vocab_size,
            config.n_embd,
            bias=True,
            quant_config=vllm_config.quant_config,
            prefix=maybe_prefix(prefix, "lm_head"),
        )
        self.logits_processor = LogitsProcessor(config.vocab_size)

    def embed_input_ids(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.transformer.embed_input_ids(input_ids)

    def forward(
        self,
        input_ids: torch.Tensor | None,
        positions: torch.Tensor,
        intermediate_tensors: None = None,
        inputs_embeds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.transformer(input_ids, positions, inputs_embeds)

    def compute_logits(self, hidden_states: torch.Tensor) -> torch.Tensor | None:
        return self.logits_processor(self.lm_head, self.ln(hidden_states), self.lm_head.bias)

    def load_weights(self, weights: Iterable[tuple[str, torch.Tensor]]) -> set[str]:
        if not self.parallel_config.enable_expert_parallel:
            weights = _last_biases_once(weights)
        loaded: set[str] = AutoWeightsLoader(self).load_weights(
            weights, mapper=self.hf_to_vllm_mapper
        )
        return loaded


def _last_biases_once(
    weights: Iterable[tuple[str, torch.Tensor]],
) -> Iterator[tuple[str, torch.Tensor]]:
    """Zero for ``fc2.bias`` on all ranks but the first.

    Each rank has a part of fc2's sum and the parts are added up, but vLLM's fused experts add
    the bias on every rank.
    """
    first = get_tensor_model_parallel_rank() == 0
    for name, tensor in weights:
        yield name, tensor if first or not name.endswith("fc2.bias") else torch.zeros_like(tensor)
