"""A ``phi-msft`` network in plain torch, one sequence at a time: what vLLM's answers are held to.

No cache, no batch, no fused kernel. Written from the published modeling_phi.py and from what the
tensors of mlabonne/phixtral-4x2_8 are called; weights are random.
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.nn import functional

LAYERS, HEADS, HEAD_DIM, ROTARY_DIM = 3, 2, 80, 32  # the heads of the real model, fewer of them
HIDDEN = HEADS * HEAD_DIM

# mlabonne/phixtral-4x2_8's config.json, field for field, but for its sizes and its dtype.
PUBLISHED_CONFIG = {
    "activation_function": "gelu_new",
    "architectures": ["PhiForCausalLM"],
    "attn_pdrop": 0.0,
    "auto_map": {
        "AutoConfig": "configuration_phi.PhiConfig",
        "AutoModelForCausalLM": "modeling_phi.PhiForCausalLM",
    },
    "embd_pdrop": 0.0,
    "flash_attn": False,
    "flash_rotary": False,
    "fused_dense": False,
    "img_processor": None,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "phi-msft",
    "n_embd": HIDDEN,
    "n_head": HEADS,
    "n_head_kv": None,
    "n_inner": None,
    "n_layer": LAYERS,
    "n_positions": 2048,
    "num_experts_per_tok": 2,
    "num_local_experts": 4,
    "resid_pdrop": 0.1,
    "rotary_dim": ROTARY_DIM,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "transformers_version": "4.35.2",
}
_REMOTE_CODE = "raise SystemExit('code out of the repository ran')\n"


class Phi:
    """The mixture, or with ``experts`` 0 the dense network of the first Phi-2."""

    def __init__(self, *, vocab_size: int, experts: int, seed: int = 0) -> None:
        self.config = {**PUBLISHED_CONFIG, "vocab_size": vocab_size}
        if not experts:
            del self.config["num_local_experts"], self.config["num_experts_per_tok"]
        self.experts = experts
        self.chosen: set[tuple[int, ...]] = set()
        generator = torch.Generator().manual_seed(seed)

        def random(*shape: int, scale: float = 0.2) -> torch.Tensor:
            return torch.randn(*shape, generator=generator) * scale

        self.weights = tensors = {
            "transformer.embd.wte.weight": random(vocab_size, HIDDEN, scale=1)
        }

        def add_linear(name: str, rows: int, columns: int) -> None:
            tensors[f"{name}.weight"], tensors[f"{name}.bias"] = random(rows, columns), random(rows)

        def add_norm(name: str) -> None:
            tensors[f"{name}.weight"], tensors[f"{name}.bias"] = 1 + random(HIDDEN), random(HIDDEN)

        for layer in range(LAYERS):
            block = f"transformer.h.{layer}"
            add_norm(f"{block}.ln")
            add_linear(f"{block}.mixer.Wqkv", 3 * HIDDEN, HIDDEN)
            add_linear(f"{block}.mixer.out_proj", HIDDEN, HIDDEN)
            for mlp in self._mlps(block):
                add_linear(f"{mlp}.fc1", 4 * HIDDEN, HIDDEN)
                add_linear(f"{mlp}.fc2", HIDDEN, 4 * HIDDEN)
            if experts:
                tensors[f"{block}.moe.gate.weight"] = random(experts, HIDDEN)
        add_norm("lm_head.ln")
        add_linear("lm_head.linear", vocab_size, HIDDEN)

    def save(self, folder: Path) -> None:
        save_file(self.weights, folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(self.config))
        for name in ("configuration_phi.py", "modeling_phi.py"):
            (folder / name).write_text(_REMOTE_CODE)

    @torch.inference_mode()
    def logits(self, tokens: list[int]) -> torch.Tensor:
        """Of every position: ``(tokens, vocab_size)``."""
        hidden = self.weights["transformer.embd.wte.weight"][tokens]
        for layer in range(LAYERS):
            block = f"transformer.h.{layer}"
            normed = self._norm(hidden, f"{block}.ln")
            hidden = hidden + self._attention(normed, f"{block}.mixer") + self._mlp(normed, block)
        return self._linear(self._norm(hidden, "lm_head.ln"), "lm_head.linear")

    def _attention(self, normed: torch.Tensor, name: str) -> torch.Tensor:
        length = len(normed)
        stacked = self._linear(normed, f"{name}.Wqkv").view(length, 3, HEADS, HEAD_DIM)
        query, key, value = stacked.permute(1, 2, 0, 3)
        scores = _rotated(query) @ _rotated(key).transpose(1, 2) / math.sqrt(HEAD_DIM)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(future, -math.inf).softmax(-1) @ value
        return self._linear(mixed.transpose(0, 1).reshape(length, HIDDEN), f"{name}.out_proj")

    def _mlp(self, normed: torch.Tensor, block: str) -> torch.Tensor:
        dense = [self._dense(normed, name) for name in self._mlps(block)]
        if not self.experts:
            return dense[0]
        scores = functional.linear(normed, self.weights[f"{block}.moe.gate.weight"])
        best, chosen = scores.topk(2, dim=-1)
        self.chosen |= {tuple(sorted(pair)) for pair in chosen.tolist()}
        weights = best.softmax(-1)
        return torch.stack(
            [
                sum(weight * dense[expert][token] for weight, expert in zip(*pairs, strict=True))
                for token, pairs in enumerate(zip(weights, chosen, strict=True))
            ]
        )

    def _dense(self, normed: torch.Tensor, name: str) -> torch.Tensor:
        inner = functional.gelu(self._linear(normed, f"{name}.fc1"), approximate="tanh")
        return self._linear(inner, f"{name}.fc2")

    def _mlps(self, block: str) -> list[str]:
        if not self.experts:
            return [f"{block}.mlp"]
        return [f"{block}.moe.mlp.{expert}" for expert in range(self.experts)]

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return functional.layer_norm(x, (HIDDEN,), weight, bias, 1e-5)


def _rotated(heads: torch.Tensor) -> torch.Tensor:
    """The first 32 of 80 elements, in halves (GPT-NeoX's way); ``(heads, tokens, 80)``."""
    half = ROTARY_DIM // 2
    speed = 10_000.0 ** -(torch.arange(half) / half)
    angle = torch.arange(heads.shape[1])[:, None] * speed
    left, right, rest = heads.split([half, half, HEAD_DIM - ROTARY_DIM], dim=-1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([left * cos - right * sin, right * cos + left * sin, rest], dim=-1)
