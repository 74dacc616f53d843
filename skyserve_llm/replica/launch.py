"""From a command line to a serving process: options → engine → app → gate → server."""

import argparse
import contextlib
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial

from skyserve_llm.replica import engines, logs, options
from skyserve_llm.replica.app import ServedModel, build_app
from skyserve_llm.replica.errors import StartError
from skyserve_llm.replica.gate import Gate
from skyserve_llm.replica.server import bind, serve
from skyserve_llm.replica.settings import GateSettings

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a replica until it is told to stop; the exit code."""
    try:
        return _run(argv)
    except StartError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


def _run(argv: Sequence[str] | None) -> int:
    arguments = options.parse(argv)
    settings = GateSettings.from_env(given=vars(arguments))
    with contextlib.closing(bind(arguments.host, arguments.port)) as listener:
        return _serve(arguments, settings, listener)


def _serve(arguments: argparse.Namespace, settings: GateSettings, listener: socket.socket) -> int:
    failures: list[StartError] = []
    app = build_app(_models(arguments), on_failure=partial(_give_up, failures))
    logs.route_library_logs()
    if settings.keys.is_open and arguments.host not in _LOOPBACK:
        logs.log_event("warning", message="no API key is set: whoever reaches the port may ask")
    host, port = listener.getsockname()[:2]
    logs.log_event(
        "listening",
        host=host,
        port=port,
        model=arguments.served_model_name,
        engine=arguments.engine,
        replica=settings.replica_id,
    )
    code = serve(Gate(app, settings=settings), listener, settings)
    if failures:
        raise failures[0]
    return code


def _models(arguments: argparse.Namespace) -> list[ServedModel]:
    return [
        ServedModel(name=each.served_model_name, root=each.model, engine=engines.create(each))
        for each in (arguments, *arguments.others)
    ]


def _give_up(failures: list[StartError], error: Exception) -> None:
    """End a replica whose model cannot be loaded: it will not do better later."""
    if not isinstance(error, StartError):
        logs.log_event("error", error=type(error).__name__, where=logs.where(error))
        error = StartError(f"the model cannot be loaded: {type(error).__name__}: {error}")
    failures.append(error)
    # Twice: the first signal begins a drain, and nothing runs that is worth waiting for.
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
