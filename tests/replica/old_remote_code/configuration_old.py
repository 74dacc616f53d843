"""A config as repositories brought it in 2023: names of its own, mapped to the library's."""

from transformers import PretrainedConfig


class OldConfig(PretrainedConfig):
    model_type = "old-msft"
    attribute_map = {  # noqa: RUF012
        "max_position_embeddings": "n_positions",
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
    }

    def __init__(self, vocab_size=320, n_positions=256, n_embd=32, n_layer=2, **rest):
        self.vocab_size = vocab_size
        self.n_positions = n_positions
        self.n_embd = n_embd
        self.n_layer = n_layer
        super().__init__(**rest)
