"""The replica's command line, as the replica's own parser understands it."""

import subprocess
import sys
from decimal import Decimal

from skyserve_llm.service.local.command import PORT, fill_port, replica_command
from skyserve_llm.service.types import ServiceSpec
from skyserve_llm.types import ThroughputEstimate
from tests.service.local.helpers import spec

FORECAST = ThroughputEstimate(
    ttft_ms=31.25, tpot_ms=7.5, output_tokens_per_s=1000, basis="modelled"
)
VLLM_ARGS = (("max-model-len", "2048"), ("dtype", "bfloat16"), ("enforce-eager", None))


def after_engine(command: tuple[str, ...]) -> list[str]:
    return list(command[command.index("--port") + 2 :])


def test_an_engine_gets_every_flag_and_the_revision():
    command = replica_command(spec(engine="vllm", engine_args=VLLM_ARGS, revision="abc"))
    assert command[:6] == (
        *(sys.executable, "-P", "-m", "skyserve_llm.replica"),
        *("acme/llama", "--engine"),
    )
    assert " ".join(after_engine(command)) == (
        "--revision abc --max-model-len 2048 --dtype bfloat16 --enforce-eager"
    )


def test_the_simulated_engine_gets_what_it_knows_and_the_forecast():
    command = replica_command(spec(engine_args=VLLM_ARGS, forecast=FORECAST, revision="abc"))
    assert after_engine(command) == [
        *("--max-model-len", "2048", "--ttft-ms", "31.250", "--tpot-ms", "7.500"),
    ]


def test_a_flag_that_is_given_beats_the_forecast():
    given = spec(engine_args=(("ttft-ms", "1"),), forecast=FORECAST)
    assert after_engine(replica_command(given)) == ["--ttft-ms", "1", "--tpot-ms", "7.500"]


def test_an_unknown_forecast_is_not_made_up():
    unknown = ThroughputEstimate(
        ttft_ms=None, tpot_ms=None, output_tokens_per_s=None, basis="modelled"
    )
    assert after_engine(replica_command(spec(forecast=unknown))) == []


def test_the_port_is_an_argument_of_its_own():
    assert fill_port(("serve", "--port", PORT, "x{port}"), 31001) == (
        *("serve", "--port", "31001", "x{port}"),
    )


def test_the_replica_understands_it():
    asked: ServiceSpec = spec(
        engine_args=VLLM_ARGS, forecast=FORECAST, price_per_hour=Decimal("0.2")
    )
    command = [*fill_port(replica_command(asked), 31001), "--no-such-flag"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown flags: --no-such-flag\n" in done.stderr  # and no other
