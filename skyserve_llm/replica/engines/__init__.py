"""Which engines there are. Each module here is the only importer of its library.

An engine that our own app serves is a module with ``add_arguments(parser)``, its flags, and
``create(arguments)``; libraries are imported by ``create``, so that flags can be read without
them.
"""

import argparse
from typing import Protocol

from skyserve_llm.replica.engines import own_class, simulated, transformers
from skyserve_llm.replica.engines.base import Engine
from skyserve_llm.replica.errors import StartError


class EngineModule(Protocol):
    """What `_MODULES` holds."""

    def add_arguments(self, parser: argparse._ArgumentGroup) -> None: ...

    def create(self, arguments: argparse.Namespace) -> Engine: ...


_MODULES: dict[str, EngineModule] = {
    "transformers": transformers,
    "python": own_class,
    "simulated": simulated,
}

NAMES = ("vllm", *_MODULES)


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """The flags of the engine of that name."""
    _module(name).add_arguments(parser.add_argument_group(f"{name} engine"))


def create(arguments: argparse.Namespace) -> Engine:
    """The engine that the command line asks for, not loaded yet.

    Raises:
        StartError: it cannot run here, or not as asked.
    """
    return _module(arguments.engine).create(arguments)


def _module(name: str) -> EngineModule:
    if name not in _MODULES:
        raise StartError(
            f"engine '{name}' is not in this release",
            hint="use --engine simulated, which answers with made-up text at a given speed",
        )
    return _MODULES[name]
