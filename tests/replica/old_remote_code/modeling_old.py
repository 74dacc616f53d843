"""A model as repositories brought it in 2023, in the ways that matter to a newer library.

It keeps a cache of its own kind, inherits no ``generate``, and computes tensors when it is made
that no checkpoint holds: a buffer that is not saved, and a plain attribute. One file tells each
of its steps, and each may be told to take its time.
"""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from .configuration_old import OldConfig


@dataclass
class OwnCache:
    seen: int = 0
    states: dict = field(default_factory=dict)


class Mixer(nn.Module):
    """Attention of one head; positions come in through a rotation that is computed, not loaded."""

    def __init__(self, config, index):
        super().__init__()
        self.index = index
        self.qkv = nn.Linear(config.n_embd, 3 * config.n_embd)
        half = torch.arange(0, config.n_embd, 2, dtype=torch.float32)
        self.register_buffer("inv_freq", 100.0 ** (-half / config.n_embd), persistent=False)
        self._angles = torch.outer(
            torch.arange(config.n_positions, dtype=torch.float32), self.inv_freq
        )

    def turn(self, x, start):
        angles = self._angles[start : start + x.shape[1]]
        left, right = x.chunk(2, -1)
        sin, cos = angles.sin(), angles.cos()
        return torch.cat([left * cos - right * sin, left * sin + right * cos], -1)

    def forward(self, x, cache):
        query, key, value = self.qkv(x).chunk(3, -1)
        query, key = self.turn(query, cache.seen), self.turn(key, cache.seen)
        if self.index in cache.states:
            key = torch.cat([cache.states[self.index][0], key], 1)
            value = torch.cat([cache.states[self.index][1], value], 1)
        cache.states[self.index] = key, value
        scores = query @ key.transpose(1, 2) / key.shape[-1] ** 0.5
        places = torch.arange(key.shape[1], device=x.device)
        scores = scores.masked_fill(places > places[cache.seen :, None], float("-inf"))
        return scores.softmax(-1) @ value


class OldForCausalLM(PreTrainedModel):
    config_class = OldConfig
    base_model_prefix = "layers"

    def __init__(self, config):
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        self.layers = nn.ModuleList(Mixer(config, index) for index in range(config.n_layer))
        self.head = nn.Linear(config.n_embd, config.vocab_size)
        self.post_init()

    def _init_weights(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            module.weight.data.normal_(std=1.0)

    def prepare_inputs_for_generation(
        self, input_ids, past_key_values=None, attention_mask=None, **_
    ):
        if isinstance(past_key_values, OwnCache):
            past_key_values.seen = input_ids.shape[1] - 1
            input_ids = input_ids[:, -1:]
        else:
            past_key_values = OwnCache()
        return {
            "input_ids": input_ids,
            "past_key_values": past_key_values,
            "attention_mask": attention_mask,
        }

    def forward(self, input_ids, past_key_values=None, attention_mask=None, **_):
        if steps := os.environ.get("OLD_MODEL_STEPS"):
            with Path(steps).open("a") as file:
                file.write(".")
        time.sleep(float(os.environ.get("OLD_MODEL_STEP_S", "0")))
        cache = past_key_values or OwnCache()
        x = self.wte(input_ids)
        for layer in self.layers:
            x = x + layer(x, cache)
        return CausalLMOutputWithPast(logits=self.head(x), past_key_values=cache)
