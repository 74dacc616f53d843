"""The parts of an estimate one by one: what each rule is there for."""

import pytest

from skyserve_llm.errors import InputError
from skyserve_llm.planner.memory import account
from skyserve_llm.planner.memory.card import (
    capacity_bytes,
    max_num_batched_tokens,
    max_num_seqs,
    visible_bytes,
)
from skyserve_llm.planner.memory.kv_cache import BlockTable, kv_layout
from skyserve_llm.planner.memory.releases import RELEASES, release
from skyserve_llm.planner.memory.weights import bytes_per_linear_weight, weight_parts
from skyserve_llm.types import AttentionLayers, EngineArgs, Quantization
from skyserve_llm.units import GIB
from tests.planner.cards import A100_80GB, H200, L4, LLAMA_8B, MIXTRAL, MODELS, card

NEW = release("0.32.0")
B200 = card("B200", 183359, 7700, 2250, "10.0")


@pytest.mark.parametrize(
    ("gpu", "torch_gib"),
    [
        (H200, 139.80),
        (card("H100", 81559, 3350, 989, "9.0"), 79.18),
        (card("RTX3090", 24576, None, None, "8.6"), 23.58),
        (card("RTX5090", 32607, None, None, "12.0"), 31.4),
    ],
)
def test_a_program_sees_less_than_the_driver_reports(gpu, torch_gib: float) -> None:
    assert visible_bytes(gpu) / GIB == pytest.approx(torch_gib, abs=0.05)
    engine = EngineArgs(gpu_memory_utilization=0.5)
    assert capacity_bytes(gpu, engine) == visible_bytes(gpu) // 2


def test_large_cards_batch_more_but_the_a100_does_not() -> None:
    args = EngineArgs()
    assert [max_num_batched_tokens(gpu, args, NEW) for gpu in (L4, A100_80GB, H200, B200)] == [
        2048, 2048, 8192, 16384,
    ]  # fmt: skip
    assert max_num_batched_tokens(B200, args, release("0.24.0")) == 8192
    assert [max_num_seqs(gpu, args, NEW) for gpu in (L4, A100_80GB, H200)] == [256, 256, 1024]
    assert max_num_seqs(H200, EngineArgs(max_num_batched_tokens=100), NEW) == 100
    assert max_num_seqs(H200, EngineArgs(max_num_seqs=7), NEW) == 7


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [
        (None, 16),
        (Quantization("fp8", 8), 8),
        (Quantization("fp8", 8, 128), 8 + 32 / 128**2),
        (Quantization("awq", 4, 128), 4.15625),
        (Quantization("gptq", 8, 128), 8.1875),
        (Quantization("gptq", 4, None), 4),
        (Quantization("compressed-tensors", 4, 32), 4.5),
        (Quantization("compressed-tensors", 8, None), 8),
        (Quantization("mxfp4", 4, 32), 4.25),
        (Quantization("modelopt_fp4", 4, 16), 4.5),
        (Quantization("modelopt_mxfp8", 8, 32), 8.25),
        (Quantization("bitsandbytes", 4, 64), 4.5),
        (Quantization("gguf", 4), 4.5),
        (Quantization("gguf", 8), 8.5),
    ],
)
def test_bits_a_weight_include_scales(quantization: Quantization | None, bits: float) -> None:
    assert bytes_per_linear_weight(quantization) * 8 == bits


def test_embeddings_stay_in_16_bits() -> None:
    awq = LLAMA_8B._replace(quantization=Quantization("awq", 4, 128))
    plain, small = weight_parts(LLAMA_8B, 1), weight_parts(awq, 1)
    assert small.embedding == plain.embedding
    assert small.mlp == round(plain.mlp / 16 * 4.15625)


def test_attention_may_be_left_as_it_was() -> None:
    kept = Quantization("fbgemm_fp8", 8, skips_attention=True)
    parts = weight_parts(LLAMA_8B._replace(quantization=kept), 1)
    plain = weight_parts(LLAMA_8B, 1)
    assert parts.attention == plain.attention
    assert parts.mlp * 2 == plain.mlp


def test_the_vocabulary_is_padded_to_whole_rows_of_64() -> None:
    odd = MODELS["codellama/CodeLlama-34b-Instruct-hf"]
    rows = weight_parts(odd, 1).embedding / 2 / odd.hidden_size
    assert odd.vocab_size % 64
    assert rows == odd.vocab_size + 64 - odd.vocab_size % 64


def test_kv_projections_are_repeated_beyond_the_kv_heads() -> None:
    eight, sixteen = (weight_parts(LLAMA_8B, size).attention for size in (8, 16))
    assert sixteen * 2 > eight
    assert kv_layout(LLAMA_8B, 8).block_bytes == kv_layout(LLAMA_8B, 16).block_bytes


def test_mxfp4_is_padded_for_its_kernels() -> None:
    model = MODELS["openai/gpt-oss-20b"]
    hopper, ada = (weight_parts(model, 1, 1, kind).experts for kind in (9, 8))
    bare = weight_parts(model, 1).experts
    assert hopper == pytest.approx(bare * 3072 / 2880, rel=1e-6)
    assert ada == pytest.approx(bare * 3072 / 2880 * 2944 / 2880, rel=1e-6)


def test_a_hybrids_concurrency_is_what_vllm_logged() -> None:
    # noonghunna/club-3090#612: Qwen3.6-35B-A3B (the shapes of 3.5), fp8 KV, 5.98 GiB on vLLM 0.24.
    layout = kv_layout(MODELS["Qwen/Qwen3.5-35B-A3B"], 1, eight_bits=True, in_flight=8192)
    tokens, concurrency = layout.capacity(int(5.98 * GIB), 131_072)
    assert tokens == 567_978
    assert f"{concurrency:.2f}x" == "4.33x"


def test_a_sliding_window_stops_growing() -> None:
    gemma = kv_layout(MODELS["google/gemma-3-27b-it"], 1, in_flight=4096)
    full = kv_layout(MODELS["Qwen/Qwen3-32B"], 1)
    assert gemma.blocks(100_000) < gemma.blocks(1000) * 100 / 4
    assert full.blocks(100_000) == 6250


def test_a_window_keeps_what_is_in_flight_and_one_block() -> None:
    table = BlockTable("sliding", 2, 16, window=1024)
    assert table.blocks(100_000, 2048) == 2 * (-(-(1023 + 2048) // 16) + 1)
    assert table.blocks(10, 2048) == 2 * 2
    assert BlockTable("chunked", 3, 16, window=8192).blocks(1 << 20, 2048) == 3 * 640


def test_sparse_attention_packs_its_latent_in_8_bits_and_keeps_its_index() -> None:
    model = MODELS["deepseek-ai/DeepSeek-V3.2"]
    wide, narrow = (kv_layout(model, 8, eight_bits=bits).block_bytes for bits in (False, True))
    assert wide == 16 * model.num_hidden_layers * (576 * 2 + 132)
    assert narrow == 16 * model.num_hidden_layers * (656 + 132)


def test_states_alone_need_no_tokens() -> None:
    states = AttentionLayers(kind="state", layers=4, state_values=1000, wide_values=800)
    layout = kv_layout(LLAMA_8B._replace(attention=(states,)), 1)
    assert layout.block_bytes == 4 * (200 * 2 + 800 * 4)
    assert layout.blocks(10) == layout.blocks(1 << 20)


def test_mla_is_not_split_and_its_expansion_is() -> None:
    model = MODELS["deepseek-ai/DeepSeek-V2-Lite-Chat"]
    one, eight = (account(model, H200, EngineArgs(), size) for size in (1, 8))
    assert one.token_bytes == eight.token_bytes == 27 * 576 * 2
    assert eight.activations.attention < one.activations.attention / 4


def test_releases_differ_where_their_code_did() -> None:
    def overhead(version: str, architecture: str = "GemmaForCausalLM") -> int:
        model = LLAMA_8B._replace(architecture=architecture)
        return sum(account(model, H200, EngineArgs(vllm_version=version), 1).overhead)

    assert overhead("0.11.0") < overhead("0.24.0")  # CUDA graphs were not counted
    assert overhead("0.24.0", "LlamaForCausalLM") < overhead("0.24.0")
    old, new = (
        account(LLAMA_8B, H200, EngineArgs(vllm_version=version), 1).activations.sampler
        for version in ("0.11.0", "0.32.0")
    )
    assert old > 10 * new


@pytest.mark.parametrize(
    ("written", "meant"),
    [("0.32.0", (0, 32)), ("v0.24", (0, 24)), ("0.31.1", (0, 24)), ("1.2.3", (0, 32)),
     ("0.6.4", (0, 0)), ("0.11.0", (0, 0))],
)  # fmt: skip
def test_a_release_between_two_is_the_older_one(written: str, meant: tuple[int, int]) -> None:
    assert release(written).version == meant
    assert [known.version for known in RELEASES] == sorted(known.version for known in RELEASES)


@pytest.mark.parametrize("written", ["", "latest", "0", "v.1", "0.x"])
def test_what_is_no_release_is_refused(written: str) -> None:
    with pytest.raises(InputError, match="not a release"):
        release(written)


def test_mixtral_needs_two_large_cards() -> None:
    found = [account(MIXTRAL, A100_80GB, EngineArgs(), size) for size in (1, 2)]
    left = [one.capacity - sum(one.weights) - sum(one.overhead) for one in found]
    assert left[0] < 0
    assert left[1] > 20 * GIB
