"""Makes the folders that the tests of the transformers engine serve, and what they must answer.

Run with the Python of the engines' environment: ``make_tiny_models.py FOLDER``. Weights are
random and a tokenizer is trained on the spot. ``expected.json`` holds the greedy answers of a
plain loop that runs the whole sequence through the model for each token: no cache, no generate.
"""

import itertools
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers import PreTrainedTokenizerFast as FastTokenizer

PROMPT = "hello, the quick 模型"
TOKENS = 24
TEMPLATE = (
    "{% for message in messages %}"
    "{% if message.role == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
    "<|{{ message.role }}|>{{ message.content }}</s>"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def main(folder: Path) -> None:
    tokenizer = make_tokenizer()
    llama, greedy = next(endless(tokenizer))
    save(llama, tokenizer, folder / "llama")

    # The same weights, and a token of the answer that ends it.
    end = next(token for token in greedy[4:] if token not in greedy[:4])
    llama.generation_config.eos_token_id = [1, end]
    save(llama, tokenizer, folder / "llama-with-an-end")

    silent = make_tokenizer()
    silent.chat_template = None
    save(llama, silent, folder / "llama-without-a-template")

    old = make_old(folder / "old", len(tokenizer), tokenizer)
    expected = {
        "prompt": PROMPT,
        "prompt_tokens": len(tokenizer(PROMPT).input_ids),
        "template": TEMPLATE,
        "llama": tokenizer.decode(greedy),
        "llama_tokens": [tokenizer.decode(greedy[: n + 1]) for n in range(TOKENS)],
        "end_at": greedy.index(end),
        "old": tokenizer.decode(answer(old, tokenizer)),
    }
    (folder / "expected.json").write_text(json.dumps(expected))


def make_tokenizer() -> FastTokenizer:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "</s>", "<|user|>", "<|assistant|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    inner.train_from_iterator(["hello world, the quick brown fox 模型 🤖 ünïcödé"] * 2, trainer)
    tokenizer = FastTokenizer(
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<|user|>", "<|assistant|>"],
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def endless(tokenizer: FastTokenizer) -> Iterator[tuple[LlamaForCausalLM, list[int]]]:
    """Models whose answer holds no special token, with that answer."""
    for seed in itertools.count():
        torch.manual_seed(seed)
        model = make_llama(len(tokenizer))
        tokens = answer(model, tokenizer)
        if not set(tokens) & set(tokenizer.all_special_ids) and len(set(tokens)) > TOKENS // 2:
            yield model, tokens


def make_llama(vocab_size: int) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.5,
        bos_token_id=0,
        eos_token_id=1,
    )
    return LlamaForCausalLM(config).eval()


def make_old(folder: Path, vocab_size: int, tokenizer: FastTokenizer) -> torch.nn.Module:
    """A checkpoint whose code lies beside it, written as it was written before version 5."""
    tokenizer.save_pretrained(folder)
    for file in (Path(__file__).parent / "old_remote_code").glob("*.py"):
        shutil.copy(file, folder)
    auto_map = {
        "AutoConfig": "configuration_old.OldConfig",
        "AutoModelForCausalLM": "modeling_old.OldForCausalLM",
    }
    config = {
        "model_type": "old-msft",
        "architectures": ["OldForCausalLM"],
        "auto_map": auto_map,
        "vocab_size": vocab_size,
        "eos_token_id": 1,
    }
    (folder / "config.json").write_text(json.dumps(config))
    read = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    torch.manual_seed(11)
    model = AutoModelForCausalLM.from_config(read, trust_remote_code=True).eval()
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    return model


def save(model: LlamaForCausalLM, tokenizer: FastTokenizer, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@torch.inference_mode()
def answer(model: torch.nn.Module, tokenizer: FastTokenizer) -> list[int]:
    tokens = tokenizer(PROMPT).input_ids
    start = len(tokens)
    for _ in range(TOKENS):
        tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[start:]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
