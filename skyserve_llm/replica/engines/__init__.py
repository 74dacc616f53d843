"""Which engines there are. Each module here is the only importer of its library.

vLLM has a server of its own, which `vllm` starts. An engine that our own app serves is a module
with ``add_arguments(parser)``, its flags, and ``create(arguments)``; libraries are imported by
``create``, so that flags can be read without them.
"""

import argparse
from typing import Protocol

from skyserve_llm.replica.engines import own_class, simulated, transformers
from skyserve_llm.replica.engines.base import Engine


class EngineModule(Protocol):
    """What `_MODULES` holds."""

    def add_arguments(self, parser: argparse._ArgumentGroup) -> None: ...

    def create(self, arguments: argparse.Namespace) -> Engine: ...


_MODULES: dict[str, EngineModule] = {
    "transformers": transformers,
    "python": own_class,
    "simulated": simulated,
}

VLLM = "vllm"
NAMES = (VLLM, *_MODULES)


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """The flags of the engine of that name, which is not vLLM."""
    _MODULES[name].add_arguments(parser.add_argument_group(f"{name} engine"))


def create(arguments: argparse.Namespace) -> Engine:
    """The engine that the command line asks for, not loaded yet.

    Raises:
        StartError: it cannot run here, or not as asked.
    """
    return _MODULES[arguments.engine].create(arguments)
