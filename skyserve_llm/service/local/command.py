"""The command line that starts one replica on this machine.

Pure. Knows the replica's flags (its package is another program: ``python -m
skyserve_llm.replica``) and nothing of processes.
"""

import sys
from collections.abc import Callable, Sequence

from skyserve_llm.service.spec import flag_words
from skyserve_llm.service.types import ServiceSpec

PORT = "{port}"
"""The argument that stands for the replica's port: the supervisor gives each its own."""

ReplicaCommand = Callable[[ServiceSpec], Sequence[str]]
"""Makes a replica's command line, with ``PORT`` as one of its arguments."""


def replica_command(spec: ServiceSpec, *, python: str = sys.executable) -> tuple[str, ...]:
    """``python -m skyserve_llm.replica MODEL --engine …``, as a machine in the cloud runs it."""
    command = [
        # -P: a folder named like one of our dependencies, in the user's own folder, is not it.
        *(python, "-P", "-m", "skyserve_llm.replica", spec.model, "--engine", spec.engine),
        *("--host", "127.0.0.1", "--port", PORT),
    ]
    for words in flag_words(spec):
        command += words
    return tuple(command)


def fill_port(command: Sequence[str], port: int) -> tuple[str, ...]:
    return tuple(str(port) if argument == PORT else argument for argument in command)
