"""Laws that any estimate of memory must keep, whatever the model, the card and the knobs."""

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from skyserve_llm.planner.memory import account, estimate_memory
from skyserve_llm.planner.memory.activations import ActivationPhases
from skyserve_llm.planner.memory.kv_cache import kv_layout, token_bytes
from skyserve_llm.planner.memory.weights import weights_bytes
from skyserve_llm.types import EngineArgs, GpuSpec, ModelSpec, Quantization
from tests.planner.cards import CARDS, L4, MODELS

models = st.sampled_from(sorted(MODELS)).map(MODELS.__getitem__)
cards = st.sampled_from(sorted(CARDS)).map(CARDS.__getitem__)
sizes = st.sampled_from([1, 2, 4, 8])
releases = st.sampled_from(["0.11.0", "0.19.0", "0.24.0", "0.32.0"])
engines = st.builds(
    EngineArgs,
    gpu_memory_utilization=st.floats(0.3, 1.0),
    max_num_batched_tokens=st.none() | st.integers(1, 65536),
    max_num_seqs=st.none() | st.integers(1, 4096),
    kv_cache_dtype=st.sampled_from(["auto", "fp8"]),
    block_size=st.none() | st.sampled_from([16, 32, 64, 128]),
    pipeline_parallel_size=st.sampled_from([1, 2, 4]),
    enforce_eager=st.booleans(),
    vllm_version=releases,
)


@given(model=models, gpu=cards, size=sizes, engine=engines)
def test_the_parts_make_the_whole_to_the_byte(
    model: ModelSpec, gpu: GpuSpec, size: int, engine: EngineArgs
) -> None:
    parts = account(model, gpu, engine, size)
    memory = estimate_memory(model, parts)
    assert memory.weights_bytes == sum(parts.weights)
    assert memory.overhead_bytes == sum(parts.overhead)
    assert memory.activation_bytes == parts.activations.peak
    whole = memory.weights_bytes + memory.kv_cache_bytes
    whole += memory.activation_bytes + memory.overhead_bytes
    assert whole == memory.per_gpu_capacity_bytes <= gpu.memory_mib << 20
    assert memory.kv_cache_low_bytes <= memory.kv_cache_bytes <= memory.kv_cache_high_bytes
    assert all(part >= 0 for part in (*parts.weights, *parts.activations, *parts.overhead))


@given(model=models, gpu=cards, size=st.sampled_from([2, 4, 8]), engine=engines)
def test_more_tensor_parallel_never_needs_more_a_gpu(
    model: ModelSpec, gpu: GpuSpec, size: int, engine: EngineArgs
) -> None:
    more, fewer = account(model, gpu, engine, size), account(model, gpu, engine, size // 2)
    assert sum(more.weights) <= sum(fewer.weights)
    assert more.token_bytes <= fewer.token_bytes
    # Each rank samples from logits gathered from all of them: that alone does not shrink.
    assert _without_sampler(more.activations) <= _without_sampler(fewer.activations)
    assert more.layout.request_bytes(4096) <= fewer.layout.request_bytes(4096)


def _without_sampler(phases: ActivationPhases) -> int:
    return phases._replace(sampler=0).peak


@given(model=models, size=sizes, stages=st.sampled_from([2, 4]))
def test_more_stages_never_need_more_a_gpu(model: ModelSpec, size: int, stages: int) -> None:
    assert weights_bytes(model, size, stages) <= weights_bytes(model, size, stages // 2)
    assert token_bytes(model, size, stages) <= token_bytes(model, size, stages // 2)


@given(model=models, gpu=cards, engine=engines, tokens=st.integers(1, 1 << 20),
       more=st.integers(0, 1 << 18))  # fmt: skip
def test_more_context_never_needs_less(
    model: ModelSpec, gpu: GpuSpec, engine: EngineArgs, tokens: int, more: int
) -> None:
    parts = account(model, gpu, engine, 1, tokens)
    longer = account(model, gpu, engine, 1, tokens + more)
    assert longer.layout.request_bytes(tokens + more) >= parts.layout.request_bytes(tokens)
    assert longer.activations.peak >= parts.activations.peak


@given(model=models, requests=st.integers(1, 256), more=st.integers(0, 256),
       tokens=st.integers(1, 1 << 17))  # fmt: skip
def test_more_concurrency_never_needs_less(
    model: ModelSpec, requests: int, more: int, tokens: int
) -> None:
    layout = kv_layout(model, 1, in_flight=2048)
    assert layout.needed_bytes(requests + more, tokens) >= layout.needed_bytes(requests, tokens)


@given(model=models, gpu=cards, engine=engines, tokens=st.integers(1, 1 << 15),
       requests=st.integers(1, 2048))  # fmt: skip
def test_a_larger_batch_never_needs_less(
    model: ModelSpec, gpu: GpuSpec, engine: EngineArgs, tokens: int, requests: int
) -> None:
    small = replace(engine, max_num_batched_tokens=tokens, max_num_seqs=requests)
    large = replace(engine, max_num_batched_tokens=2 * tokens, max_num_seqs=2 * requests)
    lesser, greater = (account(model, gpu, e, 1) for e in (small, large))
    assert greater.activations.peak >= lesser.activations.peak
    assert sum(greater.overhead) >= sum(lesser.overhead)
    assert greater.layout.request_bytes(8192) >= lesser.layout.request_bytes(8192)


@given(model=models, size=sizes, method=st.sampled_from(
    [("awq", 4, 128), ("gptq", 4, 128), ("gptq", 8, 128), ("fp8", 8, None), ("fp8", 8, 128),
     ("bitsandbytes", 4, 64), ("modelopt_fp4", 4, 16), ("compressed-tensors", 4, 32),
     ("compressed-tensors", 8, None), ("gguf", 4, None), ("gguf", 8, None)]
))  # fmt: skip
def test_fewer_bits_never_weigh_more(
    model: ModelSpec, size: int, method: tuple[str, int, int | None]
) -> None:
    assume(model.quantization is None)
    light = model._replace(quantization=Quantization(*method))
    assert weights_bytes(light, size) <= weights_bytes(model, size)


@given(model=models, size=sizes, tokens=st.integers(1, 1 << 17))
def test_an_fp8_cache_never_needs_more(model: ModelSpec, size: int, tokens: int) -> None:
    wide = kv_layout(model, size, in_flight=2048)
    narrow = kv_layout(model, size, in_flight=2048, eight_bits=True)
    # A state's block holds as much as before, so that twice as many tokens share one.
    room = 40 * wide.request_bytes(tokens)
    assert narrow.capacity(room, tokens)[0] >= wide.capacity(room, tokens)[0] * 0.98


@given(model=models, room=st.integers(0, 200 << 30), limit=st.integers(1, 1 << 18))
def test_the_longest_context_is_the_longest(model: ModelSpec, room: int, limit: int) -> None:
    layout = kv_layout(model, 1, in_flight=2048)
    longest = layout.longest(room, limit)
    if longest is None:
        assert not layout.holds(room, 1, 1)
        return
    assert layout.holds(room, 1, longest)
    assert longest == limit or not layout.holds(room, 1, longest + 1)


@given(model=models, version=releases)
def test_eager_never_takes_more(model: ModelSpec, version: str) -> None:
    graphs = EngineArgs(vllm_version=version)
    eager = replace(graphs, enforce_eager=True)
    with_graphs, without = (account(model, L4, args, 1) for args in (graphs, eager))
    assert sum(without.overhead) <= sum(with_graphs.overhead)
    assert without.activations.peak <= with_graphs.activations.peak
