"""From a command line to a serving process: options → engine → app → gate → server.

With vLLM its own command line makes app and server, and the gate in them.
"""

import argparse
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial

from skyserve_llm.replica import engines, logs, options
from skyserve_llm.replica.app import ServedModel, build_app
from skyserve_llm.replica.engines import vllm
from skyserve_llm.replica.errors import StartError
from skyserve_llm.replica.gate import Gate
from skyserve_llm.replica.http_protocol import guard_every_server
from skyserve_llm.replica.server import bind, serve
from skyserve_llm.replica.settings import GateSettings, as_environment

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
    if arguments.engine == engines.VLLM:
        vllm.check(arguments.passed_on)
    logs.route_library_logs()
    with contextlib.closing(bind(arguments.host, arguments.port)) as listener:
        if arguments.engine != engines.VLLM:
            return _serve(arguments, settings, listener)
        port = listener.getsockname()[1]
    return _serve_vllm(arguments, settings, port)


def _serve_vllm(arguments: argparse.Namespace, settings: GateSettings, port: int) -> int:
    """``port`` was free a moment ago: vLLM binds it itself, minutes before it listens."""
    _announce("starting", arguments, settings, port)
    # vLLM makes the gate and the server, with nothing but their classes to go by.
    os.environ.update(as_environment(vars(arguments)))
    guard_every_server(settings)
    return vllm.serve(arguments.model, arguments.passed_on, host=arguments.host, port=port)


def _serve(arguments: argparse.Namespace, settings: GateSettings, listener: socket.socket) -> int:
    failures: list[StartError] = []
    app = build_app(_models(arguments), on_failure=partial(_give_up, failures))
    _announce("listening", arguments, settings, listener.getsockname()[1])
    code = serve(Gate(app, settings=settings), listener, settings)
    if failures:
        raise failures[0]
    return code


def _announce(event: str, arguments: argparse.Namespace, settings: GateSettings, port: int) -> None:
    if settings.keys.is_open and arguments.host not in _LOOPBACK:
        logs.log_event("warning", message="no API key is set: whoever reaches the port may ask")
    logs.log_event(
        event,
        host=arguments.host,
        port=port,
        model=arguments.served_model_name,
        engine=arguments.engine,
        replica=settings.replica_id,
    )


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
