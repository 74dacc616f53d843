"""From a command line to a serving process: options → engine → app → gate → server."""

import sys
from collections.abc import Sequence

from skyserve_llm.replica import engines, logs, options
from skyserve_llm.replica.app import build_app
from skyserve_llm.replica.errors import StartError
from skyserve_llm.replica.gate import Gate
from skyserve_llm.replica.server import DrainTimes, bind, serve
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
    settings = GateSettings.from_env(
        key_file=arguments.api_key_file, keep_alive_s=arguments.keep_alive_s
    )
    listener = bind(arguments.host, arguments.port)
    engine = engines.create(arguments.engine, arguments)
    app = build_app(engine, model=arguments.model, served_model_name=arguments.served_model_name)
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
    times = DrainTimes(lame_duck_s=arguments.lame_duck_s, drain_timeout_s=arguments.drain_timeout_s)
    return serve(Gate(app, settings=settings), listener, times)
