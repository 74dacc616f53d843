"""Makes the tiny random models that the tests serve with vLLM, and what each must answer.

Run with the Python of the engines' environment: ``make_checkpoints.py FOLDER``. The greedy
answers in ``expected.json`` come from a loop that runs the whole sequence through the model for
each token, one prompt at a time: no cache, no batch.
"""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from phi_msft_reference import Phi
from transformers import LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

sys.path.insert(0, str(Path(__file__).parents[1]))
from make_tiny_models import make_tokenizer

TOKENS = 24
LENGTHS = (1, 3, 7, 17, 40, 64)
Logits = Callable[[list[int]], torch.Tensor]


def main(folder: Path) -> None:
    tokenizer = make_tokenizer()
    vocab_size = 320
    sizes = {
        "vocab_size": vocab_size,
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,  # of 32: vLLM's CPU kernels know no smaller
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": 0.2,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    torch.manual_seed(0)
    llama = LlamaForCausalLM(LlamaConfig(**sizes)).eval()
    mixtral = MixtralForCausalLM(MixtralConfig(**sizes, num_local_experts=4)).eval()
    mixture, dense = Phi(vocab_size=vocab_size, experts=4), Phi(vocab_size=vocab_size, experts=0)
    draw = random.Random(1)
    prompts = [[draw.randrange(4, vocab_size) for _ in range(length)] for length in LENGTHS]
    expected = {"prompts": prompts}
    for name, model in {"llama": llama, "mixtral": mixtral}.items():
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
        expected[name] = [greedy(transformers_logits(model), prompt) for prompt in prompts]
    for name, phi in {"phixtral": mixture, "phi": dense}.items():
        (folder / name).mkdir()
        phi.save(folder / name)
        tokenizer.save_pretrained(folder / name)
        expected[name] = [greedy(phi.logits, prompt) for prompt in prompts]
    expected["pairs_of_experts"] = sorted(mixture.chosen)
    (folder / "expected.json").write_text(json.dumps(expected))


def transformers_logits(model: torch.nn.Module) -> Logits:
    @torch.inference_mode()
    def logits(tokens: list[int]) -> torch.Tensor:
        return model(torch.tensor([tokens])).logits[0]

    return logits


def greedy(logits: Logits, prompt: list[int]) -> list[int]:
    tokens = list(prompt)
    for _ in range(TOKENS):
        tokens.append(int(logits(tokens)[-1].argmax()))
    return tokens[len(prompt) :]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
