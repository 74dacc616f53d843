"""Which engines there are. Each module here is the only importer of its library.

An engine module offers ``add_arguments(parser)`` and ``create(model, arguments)``.
"""

import argparse

from skyserve_llm.replica.engines import simulated
from skyserve_llm.replica.engines.base import Engine
from skyserve_llm.replica.errors import StartError

NAMES = ("vllm", "transformers", "simulated")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of every engine that is here, each in a group of its own."""
    simulated.add_arguments(parser.add_argument_group("simulated engine"))


def check_available(name: str) -> None:
    """Raise StartError for an engine whose door stands here, but nothing behind it yet."""
    if name != "simulated":
        raise StartError(
            f"engine '{name}' is not in this release",
            hint="use --engine simulated, which answers with made-up text at a given speed",
        )


def create(name: str, arguments: argparse.Namespace) -> Engine:
    """The engine of that name, set up as the command line says."""
    check_available(name)
    return simulated.create(arguments)
