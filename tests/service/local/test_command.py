"""The replica's command line, as the replica's own parser understands it."""

import subprocess
import sys
from decimal import Decimal

from skyserve_llm.service.local.command import PORT, fill_port, replica_command
from skyserve_llm.service.types import ServiceSpec
from tests.service.local.helpers import spec

SIMULATED_ARGS = (("max-model-len", "2048"), ("ttft-ms", "31.250"), ("tpot-ms", "7.500"))
VLLM_ARGS = (("max-model-len", "2048"), ("dtype", "bfloat16"), ("enforce-eager", None))


def after_engine(command: tuple[str, ...]) -> list[str]:
    return list(command[command.index("--port") + 2 :])


def test_an_engine_gets_the_revision_and_every_flag():
    command = replica_command(spec(engine="vllm", engine_args=VLLM_ARGS, revision="abc"))
    assert command[:6] == (
        *(sys.executable, "-P", "-m", "skyserve_llm.replica"),
        *("acme/llama", "--engine"),
    )
    assert " ".join(after_engine(command)) == (
        "--revision abc --max-model-len 2048 --dtype bfloat16 --enforce-eager"
    )


def test_the_port_is_an_argument_of_its_own():
    assert fill_port(("serve", "--port", PORT, "x{port}"), 31001) == (
        *("serve", "--port", "31001", "x{port}"),
    )


def test_the_replica_understands_it():
    asked: ServiceSpec = spec(engine_args=SIMULATED_ARGS, price_per_hour=Decimal("0.2"))
    command = [*fill_port(replica_command(asked), 31001), "--no-such-flag"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown flags: --no-such-flag\n" in done.stderr  # and no other
