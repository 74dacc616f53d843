"""Drawing the next token. Knows tensors and no model.

transformers' own sampling draws from one generator for the whole process; here each answer has
its own, so a seed gives the same answer whatever else is being generated.
"""

import torch

from skyserve_llm.replica.engines.base import SamplingParams

_SEED_BITS = 64


class Sampler:
    """A logits processor that leaves one token possible: the one that was drawn.

    transformers then generates greedily, and keeps all it knows of caches and model inputs.
    """

    def __init__(self, sampling: SamplingParams, device: torch.device) -> None:
        self._temperature = sampling.temperature
        self._top_p = sampling.top_p
        self._generator = torch.Generator(device)
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed % 2**_SEED_BITS)

    def __call__(self, _input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        token = draw(scores[0], self._temperature, self._top_p, self._generator)
        only = torch.full_like(scores, -torch.inf)
        only[0, token] = 0
        return only


def draw(
    logits: torch.Tensor, temperature: float, top_p: float, generator: torch.Generator
) -> torch.Tensor:
    """A token drawn from ``logits`` (vocabulary,); the likeliest where ``temperature`` is 0.

    ``top_p`` keeps the fewest likeliest tokens whose probabilities reach it (nucleus sampling,
    Holtzman et al. 2020, arXiv:1904.09751).
    """
    if temperature == 0:
        return logits.argmax()
    probabilities = torch.softmax(logits.float() / temperature, dim=-1)
    if top_p < 1:
        ranked, order = probabilities.sort(descending=True)
        # What came before a token, without it: the token that reaches top_p is kept.
        ranked[ranked.cumsum(-1) - ranked >= top_p] = 0
        probabilities = torch.zeros_like(ranked).scatter(-1, order, ranked)
    return torch.multinomial(probabilities, 1, generator=generator)[0]
