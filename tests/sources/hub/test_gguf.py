"""GGUF files: their metadata as a config, their tensors by type, in folders and on the Hub."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.errors import InputError
from skyserve_llm.planner.engine import choose_engine
from skyserve_llm.sources.hub import load_model
from skyserve_llm.sources.hub.gguf import BLOCKS, PIECE_BYTES, read_header
from skyserve_llm.sources.hub.lookup import hub_model
from skyserve_llm.sources.registry import architecture_support
from tests.sources.hub.gguf_files import gguf
from tests.sources.hub.loopback import Hub, running

Q4_K, F32, Q6_K = 12, 0, 14
HIDDEN, INNER, VOCAB, KEYS = 256, 512, 320, 128
METADATA: dict[str, object] = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.embedding_length": HIDDEN,
    "llama.feed_forward_length": INNER,
    "llama.context_length": 4096,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.rope.freq_base": 10000.0,
    "llama.use_parallel_residual": False,
    "tokenizer.ggml.tokens": [f"token {n}" for n in range(VOCAB)],
}
LAYER = {
    "attn_norm": (F32, [HIDDEN]), "ffn_norm": (F32, [HIDDEN]),
    "attn_q": (Q4_K, [HIDDEN, HIDDEN]), "attn_k": (Q4_K, [KEYS, HIDDEN]),
    "attn_v": (Q6_K, [KEYS, HIDDEN]), "attn_output": (Q4_K, [HIDDEN, HIDDEN]),
    "ffn_gate": (Q4_K, [INNER, HIDDEN]), "ffn_up": (Q4_K, [INNER, HIDDEN]),
    "ffn_down": (Q6_K, [HIDDEN, INNER]),
}  # fmt: skip
TENSORS = {
    "token_embd.weight": (Q4_K, [VOCAB, HIDDEN]),
    "output_norm.weight": (F32, [HIDDEN]),
    "output.weight": (Q6_K, [VOCAB, HIDDEN]),
    "rope_freqs.weight": (F32, [32]),
    **{f"blk.{n}.{part}.weight": tensor for n in range(2) for part, tensor in LAYER.items()},
}
LINEAR = 2 * HIDDEN * HIDDEN + 2 * KEYS * HIDDEN + 3 * HIDDEN * INNER
WEIGHTS = 2 * VOCAB * HIDDEN + 2 * (LINEAR + 2 * HIDDEN) + HIDDEN
FILE = gguf(METADATA, TENSORS)


def stored_bytes() -> int:
    total = 0
    for name, (kind, shape) in TENSORS.items():
        _, weights, size = BLOCKS[kind]
        number = shape[0] * (shape[1] if len(shape) > 1 else 1)
        total += 0 if name.startswith("rope") else number // weights * size
    return total


def test_a_file_is_a_model(tmp_path: Path) -> None:
    file = tmp_path / "tiny.Q4_K_M.gguf"
    file.write_bytes(FILE)
    model = load_model(str(file))
    assert model.architecture == "LlamaForCausalLM"
    assert model.parameters.total == WEIGHTS
    assert model.parameters.kv_projection == 2 * 2 * KEYS * HIDDEN
    assert model.checkpoint_bytes == stored_bytes()
    assert model.quantization is not None
    assert (model.quantization.method, model.quantization.bits) == ("gguf", 4)
    assert (model.vocab_size, model.max_position_embeddings) == (VOCAB, 4096)
    engine = choose_engine(model, architecture_support(model))
    assert engine.name == "vllm"
    assert "gguf weights by a plugin" in engine.reason


def test_without_a_head_it_is_the_embedding(tmp_path: Path) -> None:
    file = tmp_path / "tied.gguf"
    file.write_bytes(gguf(METADATA, {k: v for k, v in TENSORS.items() if k != "output.weight"}))
    assert load_model(str(file)).parameters.total == WEIGHTS - VOCAB * HIDDEN


def test_a_long_vocabulary_is_read_piece_by_piece() -> None:
    words = ["w" * 64] * (PIECE_BYTES // 64)
    content = gguf({**METADATA, "tokenizer.ggml.tokens": words}, TENSORS)
    asked: list[tuple[int, int]] = []

    def read(start: int, stop: int) -> bytes:
        asked.append((start, stop))
        return content[start:stop]

    header = read_header("long.gguf", read)
    assert header.metadata["tokenizer.ggml.tokens"] == len(words)
    assert [tensor.name for tensor in header.tensors] == list(TENSORS)
    assert asked == [(0, PIECE_BYTES), (PIECE_BYTES, 2 * PIECE_BYTES)]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path))
    with running() as server:
        yield server


def ask(hub: Hub, kind: str | None = None) -> int:
    return hub_model(
        "acme/tiny-GGUF", revision=None, refresh=False, progress=print, kind=kind,
        endpoint=hub.endpoint,
    ).parameters.total  # fmt: skip


def test_of_several_kinds_one_must_be_named(hub: Hub) -> None:
    half = dict(list(TENSORS.items())[:9]), dict(list(TENSORS.items())[9:])
    hub.add(
        "acme/tiny-GGUF",
        {
            "tiny-Q4_K_M.gguf": FILE,
            "Q8_0/tiny-Q8_0-00001-of-00002.gguf": gguf(METADATA, half[0]),
            "Q8_0/tiny-Q8_0-00002-of-00002.gguf": gguf({"split.no": 1}, half[1]),
            "mmproj-F16.gguf": b"a vision tower",
        },
    )
    with pytest.raises(InputError, match="has several GGUF files") as caught:
        ask(hub)
    assert "(Q8_0, Q4_K_M)" in (caught.value.hint or "")
    with pytest.raises(InputError, match="has no GGUF file of kind Q2_K"):
        ask(hub, "Q2_K")
    assert ask(hub, "q4_k_m") == ask(hub, "Q8_0") == WEIGHTS


def test_one_kind_needs_no_name(hub: Hub) -> None:
    hub.add("acme/tiny-GGUF", {"tiny-Q4_K_M.gguf": FILE})
    assert ask(hub) == WEIGHTS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends in its header"),
        (b"GGML" + FILE[4:], "is no GGUF file"),
        (gguf(METADATA, TENSORS, version=9), "GGUF version 9"),
        (FILE[:200], "ends in its header"),
        (gguf(METADATA, {"w": (99, [1])}), "tensor 'w' is of type 99"),
        (gguf({**METADATA, "general.architecture": "magic"}, TENSORS), "is 'magic'"),
        (gguf({"general.architecture": "llama"}, TENSORS), "'num_attention_heads' is missing"),
    ],
)
def test_a_damaged_file_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "bad.gguf"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_model(str(file))
    assert "\n" not in caught.value.message


@given(cut=st.integers(0, len(FILE)), noise=st.binary(max_size=64))
def test_no_file_breaks_the_reader(cut: int, noise: bytes) -> None:
    content = FILE[:cut] + noise
    try:
        read_header("fuzz.gguf", lambda start, stop: content[start:stop])
    except InputError as error:
        assert "\n" not in error.message
