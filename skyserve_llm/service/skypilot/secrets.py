"""The values of a service's secrets: from this environment straight to SkyPilot. Pure.

A null secret that nobody fills in fails on every new machine, minutes later and out of sight
(``sky/execution.py``), so each is filled in here or refused.
"""

from collections.abc import Iterable, Mapping

from skyserve_llm.errors import InputError
from skyserve_llm.service.spec import API_KEY

# Without it a replica would answer everybody: its port is open to the internet.
REQUIRED = frozenset({API_KEY})


def secret_values(names: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Each name with its value. One that is not needed (HF_TOKEN for an open model) is empty.

    Raises:
        InputError: a required one is not set.
    """
    values = {name: environ.get(name, "") for name in names}
    missing = sorted(name for name in REQUIRED & values.keys() if not values[name].strip())
    if missing:
        raise InputError(
            f"{missing[0]} is not set: the service would have no key",
            hint=f"export {missing[0]}=$(openssl rand -hex 24)",
        )
    return values
