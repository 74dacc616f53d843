"""What the gate is told from outside. Reads the environment once; knows nothing of requests.

As ``vllm serve --middleware`` the gate is constructed with nothing but the app, so all it
needs can be had from the environment; flags of our own command line go before it.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from skyserve_llm.replica.errors import StartError
from skyserve_llm.replica.keys import KeyRing, load_keys

KEEP_ALIVE_VARIABLE = "LLMBUDGET_KEEP_ALIVE_S"
# Ours first: the local supervisor may itself run inside a SkyServe replica.
REPLICA_ID_VARIABLES = ("LLMBUDGET_REPLICA_ID", "SKYPILOT_SERVE_REPLICA_ID")

# SkyServe's load balancer gives up on a stream after 120 s without a byte, other proxies
# after 30 to 60 s.
DEFAULT_KEEP_ALIVE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """Who may enter, what this replica is called, how long a stream may stay silent."""

    keys: KeyRing
    replica_id: str
    keep_alive_s: float = DEFAULT_KEEP_ALIVE_S

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] = os.environ,
        *,
        key_file: Path | None = None,
        keep_alive_s: float | None = None,
    ) -> "GateSettings":
        """Settings of the environment; arguments that are given go before it."""
        if keep_alive_s is None:
            keep_alive_s = _seconds(environ, KEEP_ALIVE_VARIABLE, DEFAULT_KEEP_ALIVE_S)
        return cls(
            keys=load_keys(environ, key_file),
            replica_id=_replica_id(environ),
            keep_alive_s=keep_alive_s,
        )


def _replica_id(environ: Mapping[str, str]) -> str:
    name = next((environ[key] for key in REPLICA_ID_VARIABLES if environ.get(key)), "")
    # It travels in a header: nothing but printable ASCII, and not at any length.
    return re.sub(r"[^\x21-\x7e]", "_", name)[:128] or f"pid-{os.getpid()}"


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise StartError(f"{name} is {text!r}, not a positive number of seconds")
    return value
