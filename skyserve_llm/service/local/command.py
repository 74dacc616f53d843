"""The command line that starts one replica on this machine.

Pure. Knows the replica's flags (its package is another program: ``python -m
skyserve_llm.replica``) and nothing of processes.
"""

import sys
from collections.abc import Callable, Sequence

from skyserve_llm.service.types import ServiceSpec

PORT = "{port}"
"""The argument that stands for the replica's port: the supervisor gives each its own."""

ReplicaCommand = Callable[[ServiceSpec], Sequence[str]]
"""Makes a replica's command line, with ``PORT`` as one of its arguments."""


_SIMULATED_FLAGS = frozenset(
    {"max-model-len", "max-num-seqs", "served-model-name", "ttft-ms", "tpot-ms"}
)


def replica_command(spec: ServiceSpec, *, python: str = sys.executable) -> tuple[str, ...]:
    """``python -m skyserve_llm.replica MODEL --engine …``, as a machine in the cloud runs it."""
    command = [
        # -P: a folder named like one of our dependencies, in the user's own folder, is not it.
        *(python, "-P", "-m", "skyserve_llm.replica", spec.model, "--engine", spec.engine),
        *("--host", "127.0.0.1", "--port", PORT),
    ]
    if spec.revision is not None and spec.engine != "simulated":
        command += ["--revision", spec.revision]
    for flag, value in _engine_args(spec):
        command += [f"--{flag}"] if value is None else [f"--{flag}", value]
    return tuple(command)


def fill_port(command: Sequence[str], port: int) -> tuple[str, ...]:
    return tuple(str(port) if argument == PORT else argument for argument in command)


def _engine_args(spec: ServiceSpec) -> list[tuple[str, str | None]]:
    if spec.engine != "simulated":
        return list(spec.engine_args)
    # A plan's other flags say how vLLM uses a GPU, and there is none. The simulated engine is
    # as quick as the plan says that the real one is.
    kept = [(flag, value) for flag, value in spec.engine_args if flag in _SIMULATED_FLAGS]
    given = {flag for flag, _ in kept}
    if spec.forecast is not None:
        times = (("ttft-ms", spec.forecast.ttft_ms), ("tpot-ms", spec.forecast.tpot_ms))
        kept += [(f, f"{ms:.3f}") for f, ms in times if ms is not None and f not in given]
    return kept
