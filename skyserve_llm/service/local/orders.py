"""Giving a running supervisor an order, from the command line's side.

Knows the controller's address and token and nothing of how an order is carried out.
"""

from datetime import UTC, datetime
from typing import Any

import httpx

from skyserve_llm.errors import BackendError
from skyserve_llm.service.local import locks
from skyserve_llm.service.local.folder import ServiceFolder, parse_record
from skyserve_llm.service.local.state import status_of_running
from skyserve_llm.service.types import ServiceStatus

_SCALE_SECONDS = 10.0
_DOWN_SECONDS = 20.0  # it kills what does not end within a few


def scale(folder: ServiceFolder, replicas: int) -> ServiceStatus:
    """Ask for another number of replicas. Raises as ``_give`` does."""
    return _give(folder, "/scale", {"replicas": replicas}, _SCALE_SECONDS)


def take_down(folder: ServiceFolder) -> ServiceStatus:
    """Have the supervisor end everything and then itself. Raises as ``_give`` does."""
    with locks.asking(folder.processes_lock) as held:  # before it removes the file
        status = _give(folder, "/down", {}, _DOWN_SECONDS)
        # One that was being started at that moment is ended by its guard, 2 s later.
        if not locks.wait_while(held, _DOWN_SECONDS):
            raise BackendError(f"processes of {folder.name!r} still run")
    return status


def _give(
    folder: ServiceFolder, path: str, order: dict[str, Any], timeout_seconds: float
) -> ServiceStatus:
    """POST ``order`` and return how the service stands after it.

    Raises:
        BackendError: the supervisor does not answer, or refuses.
    """
    control = folder.read_control()
    try:
        with httpx.Client(trust_env=False, timeout=timeout_seconds) as client:
            response = client.post(
                control.url + path,
                json=order,
                headers={"Authorization": f"Bearer {control.token}"},
            )
    except httpx.HTTPError as error:
        raise BackendError(
            f"the supervisor of {folder.name!r} does not answer: {error}",
            hint=f"`llmbudget logs {folder.name}` shows what it was doing",
        ) from error
    if response.status_code == httpx.codes.BAD_REQUEST:
        raise BackendError(f"local service {folder.name!r}: {response.json()['error']}")
    try:
        record = parse_record(response.raise_for_status().content)
    except (httpx.HTTPStatusError, ValueError) as error:
        raise BackendError(
            f"the supervisor of {folder.name!r} gave an unreadable answer "
            f"(HTTP {response.status_code})"
        ) from error
    now = datetime.now(UTC)
    return status_of_running(record, now=now, heartbeat=now)
