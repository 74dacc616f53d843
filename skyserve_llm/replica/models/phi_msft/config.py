"""``config.json`` of a ``phi-msft`` checkpoint, in its own words and in everybody else's.

Knows transformers' config class and nothing of vLLM.
"""

import math
from typing import Any, ClassVar

from transformers import PretrainedConfig

from skyserve_llm.replica.models.phi_msft import ARCHITECTURE, MODEL_TYPE


class PhiMsftConfig(PretrainedConfig):
    """Fields and defaults of the repositories' configuration_phi.py.

    ``num_local_experts`` is phixtral's; without it the network has one dense MLP a layer.

    Raises:
        ValueError: a shape that the network cannot have, named by its field.
    """

    model_type = MODEL_TYPE
    attribute_map: ClassVar[dict[str, str]] = {
        "max_position_embeddings": "n_positions",
        "hidden_size": "n_embd",
        "num_attention_heads": "n_head",
        "num_key_value_heads": "n_head_kv",
        "num_hidden_layers": "n_layer",
        "intermediate_size": "n_inner",
        "hidden_act": "activation_function",
    }

    vocab_size: int = 51200
    pad_vocab_size_multiple: int = 64
    n_positions: int = 2048
    n_embd: int = 2560
    n_layer: int = 32
    n_inner: int | None = None
    n_head: int = 32
    n_head_kv: int | None = None
    rotary_dim: int | None = 32
    activation_function: str = "gelu_new"
    layer_norm_epsilon: float = 1e-5
    tie_word_embeddings: bool = False
    num_local_experts: int | None = None
    num_experts_per_tok: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        # Published as null where the code behind them filled in a default.
        self.n_head_kv = self.n_head_kv or self.n_head
        self.n_inner = self.n_inner or 4 * self.n_embd
        self.rotary_dim = min(self.rotary_dim or 0, self.head_dim)
        # The embedding's rows, which the code rounds up.
        multiple = self.pad_vocab_size_multiple
        self.vocab_size = math.ceil(self.vocab_size / multiple) * multiple
        super().__post_init__(**kwargs)
        self.architectures = [ARCHITECTURE]
        self._check()

    @property
    def head_dim(self) -> int:
        """Elements of one attention head."""
        return self.n_embd // self.n_head

    @property
    def is_mixture(self) -> bool:
        """Whether each layer has experts and a gate, not one MLP."""
        return (self.num_local_experts or 1) > 1

    def _check(self) -> None:
        kv_heads, rotary, chosen = (
            self.n_head_kv or 0,
            self.rotary_dim or 0,
            self.num_experts_per_tok,
        )
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd {self.n_embd} is no multiple of n_head {self.n_head}")
        if self.n_head % kv_heads:
            raise ValueError(f"n_head {self.n_head} is no multiple of n_head_kv {kv_heads}")
        if rotary <= 0 or rotary % 2:
            raise ValueError(f"rotary_dim {rotary} is not an even number above 0")
        if self.activation_function not in ("gelu_new", "gelu_pytorch_tanh"):
            raise ValueError(f"activation_function {self.activation_function} is not served")
        if self.tie_word_embeddings:
            raise ValueError("tie_word_embeddings: this network's head has weights of its own")
        if self.is_mixture and not 1 <= (chosen or 0) <= (self.num_local_experts or 0):
            raise ValueError(
                f"num_experts_per_tok {chosen} is not between 1 and"
                f" num_local_experts {self.num_local_experts}"
            )
