"""Asks SkyPilot itself whether a service YAML is one. Offline: no cloud, no API server.

What needs a catalog or an account (does that instance type exist there?) is asked at deploy.
"""

import yaml

from skyserve_llm.service.skypilot.client import TaskRequest, build_task, load_sky


def validate(text: str) -> None:
    """Check a YAML with SkyPilot's own schema and SkyServe's own rules.

    Raises:
        InputError: SkyPilot would refuse it; says why.
        BackendError: SkyPilot is not installed.
    """
    build_task(load_sky(), TaskRequest(yaml.safe_load(text), {}))
