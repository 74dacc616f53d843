"""What follows a layer's norm beside attention: one MLP, or phixtral's mixture of them.

The mixture is ``y = sum over the best k of softmax(best k of gate(x)) * mlp(x)``, as in the
repository's modeling_phi.py: a gate without bias, MLPs with biases and no gating projection.
"""

import torch
from torch import nn
from transformers import PretrainedConfig
from vllm.model_executor.layers.activation import get_act_fn
from vllm.model_executor.layers.fused_moe import FusedMoEFactory
from vllm.model_executor.layers.linear import (
    ColumnParallelLinear,
    ReplicatedLinear,
    RowParallelLinear,
)
from vllm.model_executor.layers.quantization import QuantizationConfig
from vllm.platforms import current_platform


class PhiMsftMLP(nn.Module):
    """``fc2(gelu(fc1(x)))``: ``(tokens, n_embd)`` in and out."""

    def __init__(
        self, config: PretrainedConfig, quantization: QuantizationConfig | None, prefix: str
    ) -> None:
        super().__init__()
        self.fc1 = ColumnParallelLinear(
            config.n_embd, config.n_inner, quant_config=quantization, prefix=f"{prefix}.fc1"
        )
        self.fc2 = RowParallelLinear(
            config.n_inner, config.n_embd, quant_config=quantization, prefix=f"{prefix}.fc2"
        )
        self.act = get_act_fn(config.activation_function)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        hidden_states, _ = self.fc1(hidden_states)
        hidden_states, _ = self.fc2(self.act(hidden_states))
        return hidden_states


class PhiMsftMoE(nn.Module):
    """``num_local_experts`` MLPs, of which each token goes through ``num_experts_per_tok``."""

    def __init__(
        self, config: PretrainedConfig, quantization: QuantizationConfig | None, prefix: str
    ) -> None:
        super().__init__()
        # Four rows: quantized checkpoints leave them as they are.
        self.gate = ReplicatedLinear(
            config.n_embd, config.num_local_experts, bias=False, prefix=f"{prefix}.gate"
        )
        # vLLM's own kernels, where they know experts without a gating projection.
        fused = current_platform.is_cuda_alike() or current_platform.is_xpu()
        make = _fused_experts if fused else DenseExperts
        self.experts = make(config, quantization, f"{prefix}.experts")

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        router_logits, _ = self.gate(hidden_states)
        return self.experts(hidden_states=hidden_states, router_logits=router_logits)


def _fused_experts(
    config: PretrainedConfig, quantization: QuantizationConfig | None, prefix: str
) -> nn.Module:
    return FusedMoEFactory(
        num_experts=config.num_local_experts,
        top_k=config.num_experts_per_tok,
        hidden_size=config.n_embd,
        intermediate_size=config.n_inner,
        renormalize=True,  # a softmax over all, made to sum to 1, is one over the chosen
        activation="gelu_tanh_no_mul",
        has_bias=True,
        ckpt_names=("fc1", "fc2", None),
        quant_config=quantization,
        prefix=prefix,
    )


class DenseExperts(nn.ModuleList):
    """Every expert on every token, those not chosen with weight 0: plain, and right everywhere."""

    def __init__(
        self, config: PretrainedConfig, quantization: QuantizationConfig | None, prefix: str
    ) -> None:
        super().__init__(
            PhiMsftMLP(config, quantization, f"{prefix}.{expert}")
            for expert in range(config.num_local_experts)
        )
        self.top_k = config.num_experts_per_tok

    def forward(self, hidden_states: torch.Tensor, router_logits: torch.Tensor) -> torch.Tensor:
        best, chosen = router_logits.float().topk(self.top_k, dim=-1)
        weights = torch.zeros_like(router_logits, dtype=torch.float32)
        weights = weights.scatter(-1, chosen, best.softmax(dim=-1)).to(hidden_states.dtype)
        parts = (weights[:, [expert]] * mlp(hidden_states) for expert, mlp in enumerate(self))
        return sum(parts, torch.zeros_like(hidden_states))
