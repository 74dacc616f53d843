"""What a service YAML starts is what the replica's own command line understands."""

import pytest

from skyserve_llm.replica import options
from skyserve_llm.service.render import command, lame_duck_seconds
from skyserve_llm.service.spec import service_spec
from skyserve_llm.service.types import ServiceSpec
from skyserve_llm.types import EngineArgs, EngineName
from tests.service.plans import candidate, plan

EVERY_KNOB = EngineArgs(
    gpu_memory_utilization=0.85,
    max_num_batched_tokens=4096,
    max_num_seqs=64,
    kv_cache_dtype="fp8",
    enforce_eager=True,
    dtype="float16",
)


def spec(engine: EngineName) -> ServiceSpec:
    turned = plan([candidate(quantization="fp8")], engine_args=EVERY_KNOB)
    return service_spec(turned, engine=engine)


def words(of: ServiceSpec) -> list[str]:
    return [word for line in command(of) for word in line]


@pytest.mark.parametrize("engine", ["vllm", "transformers", "simulated"])
def test_the_replica_reads_every_flag(engine: EngineName) -> None:
    service = spec(engine)
    arguments = options.parse(words(service))
    assert (arguments.model, arguments.engine) == (service.model, engine)
    assert (arguments.host, arguments.port) == ("0.0.0.0", service.replica_port)
    assert arguments.lame_duck_s == lame_duck_seconds(service.readiness_probe)


def test_vllm_gets_its_flags_and_the_revision_as_they_were_written() -> None:
    service = spec("vllm")
    passed_on = options.parse(words(service)).passed_on
    assert passed_on[:2] == ["--revision", service.revision]
    flags = [word.removeprefix("--") for word in passed_on if word.startswith("--")]
    assert flags[1:] == [flag for flag, _ in service.engine_args]
