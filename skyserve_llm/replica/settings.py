"""What the gate is told from outside. Reads the environment once; knows nothing of requests.

As ``vllm serve --middleware`` the gate is constructed with nothing but the app, so all it
needs can be had from the environment. Each setting here is a variable, a flag of our own
command line, which goes before it, and a field, all of one name.
"""

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from skyserve_llm.replica import argument_types
from skyserve_llm.replica.drain import DrainTimes
from skyserve_llm.replica.errors import StartError
from skyserve_llm.replica.intake import Limits
from skyserve_llm.replica.keys import KEY_FILE_VARIABLE, KeyRing, load_keys
from skyserve_llm.replica.routes import Route

# Ours first: the local supervisor may itself run inside a SkyServe replica.
REPLICA_ID_VARIABLES = ("LLMBUDGET_REPLICA_ID", "SKYPILOT_SERVE_REPLICA_ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One field of `GateSettings` as it is written outside."""

    name: str
    parse: Callable[[str], Any]
    metavar: str
    help: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "LLMBUDGET_" + self.name.upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """Who may enter and how much, how long each thing may take, and how it ends.

    Names end in their unit: ``_s`` seconds, ``_bytes`` bytes.
    """

    keys: KeyRing
    replica_id: str
    # SkyServe's load balancer gives up on a stream after 120 s without a byte, other
    # proxies after 30 to 60 s.
    keep_alive_s: float = 10.0
    lame_duck_s: float = 0.0
    drain_timeout_s: float = 60.0
    # vLLM's own limit on large cards (max_num_seqs 1024): below it the engine batches.
    max_in_flight: int = 1024
    max_queued: int = 256
    # Below the load balancer's 120 s: its client shall read our 429, not a cut.
    queue_timeout_s: float = 60.0
    # Four times the text of a million tokens; images in a prompt are megabytes.
    max_body_bytes: int = 16 << 20
    max_header_bytes: int = 64 << 10
    max_header_count: int = 100
    # pydantic and Python's json stop at 200 and about 1000; a schema of a tool needs 20.
    max_json_depth: int = 64
    head_timeout_s: float = 20.0
    body_timeout_s: float = 60.0
    write_timeout_s: float = 60.0
    # A prompt of 100,000 tokens may keep a small card from its next token for half a minute.
    proof_interval_s: float = 20.0
    token_timeout_s: float = 60.0
    allow_routes: tuple[Route, ...] = ()
    preemption_watch: str = "auto"
    on_rebalance: str = "note"
    metadata_url: str = "http://169.254.169.254"

    @property
    def drain_times(self) -> DrainTimes:
        return DrainTimes(lame_duck_s=self.lame_duck_s, drain_timeout_s=self.drain_timeout_s)

    @property
    def limits(self) -> Limits:
        return Limits(
            max_header_bytes=self.max_header_bytes,
            max_header_count=self.max_header_count,
            max_body_bytes=self.max_body_bytes,
            max_json_depth=self.max_json_depth,
            body_timeout_s=self.body_timeout_s,
        )

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] = os.environ, given: Mapping[str, Any] | None = None
    ) -> "GateSettings":
        """Settings of the environment; those that are given, and not None, go before it.

        Raises:
            StartError: a variable that cannot be read, or keys that cannot.
        """
        values = {setting.name: _from_env(setting, environ) for setting in SETTINGS}
        values |= {name: value for name, value in (given or {}).items() if value is not None}
        fixed = {setting.name for setting in SETTINGS if values[setting.name] is not None}
        return cls(
            keys=load_keys(environ, values.get("api_key_file") or _key_file(environ)),
            replica_id=_replica_id(environ),
            **{name: values[name] for name in fixed},
        )


def as_environment(given: Mapping[str, Any]) -> dict[str, str]:
    """Flags that were given, as the variables that say the same to a gate made elsewhere.

    No key is among them: only the path of the file that holds them.
    """
    variables = {
        setting.variable: _written(given[setting.name])
        for setting in SETTINGS
        if given.get(setting.name) is not None
    }
    if given.get("api_key_file") is not None:
        variables[KEY_FILE_VARIABLE] = str(given["api_key_file"])
    return variables


def add_arguments(parser: argparse._ActionsContainer) -> None:
    """A flag for each setting. None where it is not given."""
    for setting in SETTINGS:
        default = _written(_default(setting.name)) or "none"
        text = f"{setting.help} (default: {default})"
        parser.add_argument(setting.flag, type=setting.parse, metavar=setting.metavar, help=text)


def _from_env(setting: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(setting.variable)
    if not text:
        return None
    try:
        return setting.parse(text)
    except argparse.ArgumentTypeError as error:
        raise StartError(f"{setting.variable}: {error}") from None


def _key_file(environ: Mapping[str, str]) -> Path | None:
    path = environ.get(KEY_FILE_VARIABLE)
    return Path(path) if path else None


def _replica_id(environ: Mapping[str, str]) -> str:
    name = next((environ[key] for key in REPLICA_ID_VARIABLES if environ.get(key)), "")
    # It travels in a header: nothing but printable ASCII, and not at any length.
    return re.sub(r"[^\x21-\x7e]", "_", name)[:128] or f"pid-{os.getpid()}"


def _default(name: str) -> Any:
    return next(field.default for field in fields(GateSettings) if field.name == name)


def _written(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _routes(text: str) -> tuple[Route, ...]:
    try:
        return tuple(Route.parse(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(name: str, what: str, *, zero: bool = False) -> Setting:
    parse = argument_types.duration if zero else argument_types.interval
    return Setting(name=name, parse=parse, metavar="S", help=what)


def _number(name: str, metavar: str, what: str) -> Setting:
    return Setting(name=name, parse=argument_types.whole_number, metavar=metavar, help=what)


def _choice(name: str, words: Sequence[str], what: str) -> Setting:
    parse = argument_types.one_of(words)
    return Setting(name=name, parse=parse, metavar="|".join(words), help=what)


SETTINGS = (
    _seconds("keep_alive_s", "comment in a stream that was silent for so long"),
    _seconds("lame_duck_s", "when told to end, keep the listener open for so long", zero=True),
    _seconds("drain_timeout_s", "when told to end, let requests finish until then", zero=True),
    _number("max_in_flight", "N", "requests that the engine gets at a time"),
    _number("max_queued", "N", "requests that wait before it; any more are answered 429"),
    _seconds("queue_timeout_s", "longest wait for a place, then 429"),
    _number("max_body_bytes", "BYTES", "largest body of a request"),
    _number("max_header_bytes", "BYTES", "largest head of a request"),
    _number("max_header_count", "N", "most headers of a request"),
    _number("max_json_depth", "N", "deepest nesting of a body"),
    _seconds("head_timeout_s", "a head must have arrived within so long"),
    _seconds("body_timeout_s", "a body must have arrived within so long"),
    _seconds("write_timeout_s", "a client that takes nothing for so long is cut off"),
    _seconds("proof_interval_s", "ask the engine for a token when it made none for so long"),
    _seconds("token_timeout_s", "an engine that then makes none for so long is broken"),
    Setting(
        name="allow_routes",
        parse=_routes,
        metavar="ROUTE,…",
        help="open these routes of the engine too: '/tokenize', 'GET /version', '/v1/audio/*'",
    ),
    _choice(
        "preemption_watch",
        ("off", "auto", "aws", "gcp", "azure"),
        "whose notices to watch for; auto finds the cloud out",
    ),
    _choice("on_rebalance", ("note", "drain"), "what AWS' early warning does"),
    Setting(
        name="metadata_url",
        parse=argument_types.http_url,
        metavar="URL",
        help="where the cloud's metadata service is",
    ),
)
