"""Which backend has a service, and what was seen of it: shared by every command after `plan`.

Whatever a command sees of a service goes into the ledger, so that the bill holds what any of
them saw.
"""

from skyserve_llm.errors import BackendError, ServiceNotFoundError
from skyserve_llm.home import ledger_path, services_dir
from skyserve_llm.service.backend import Backend
from skyserve_llm.service.ledger import Ledger
from skyserve_llm.service.local.backend import LocalBackend
from skyserve_llm.service.skypilot.store import deployed
from skyserve_llm.service.types import ServiceStatus


def local_backend(port: int | None = None) -> LocalBackend:
    return LocalBackend(services_dir(), load_balancer_port=port)


def skypilot_backend() -> Backend:
    from skyserve_llm.service.skypilot.backend import SkyPilotBackend

    return SkyPilotBackend()


def backend_of(name: str) -> Backend:
    """The backend that has a service of that name.

    Raises:
        ServiceNotFoundError: neither has.
    """
    local = local_backend()
    if local.has(name):
        return local
    if deployed_to_cloud(name):
        return skypilot_backend()
    known = ", ".join(status.name for status in every_status()) or "none"
    raise ServiceNotFoundError(
        f"no service '{name}'", hint=f"`llmbudget status` lists them; now running: {known}"
    )


def deployed_to_cloud(name: str | None = None) -> bool:
    """Whether we gave a service (of that name) to SkyPilot: it is slow to ask."""
    known = deployed()
    return bool(known) if name is None else name in known


def every_status(name: str | None = None) -> list[ServiceStatus]:
    """What runs on this machine, and on SkyPilot where we gave it something."""
    found = local_backend().status(name)
    if not (name and found) and deployed_to_cloud(name):
        found = [*found, *skypilot_backend().status(name)]
    return found


def the_service(name: str | None) -> ServiceStatus:
    """The service of that name; without one, the only one there is."""
    found = every_status(name)
    if not found:
        raise ServiceNotFoundError(
            f"no service '{name}'" if name else "no service is running",
            hint="`llmbudget deploy --local` starts one here",
        )
    if len(found) > 1:
        raise BackendError(
            "more than one service is running",
            hint=f"name one of: {', '.join(status.name for status in found)}",
        )
    return found[0]


def record(*seen: ServiceStatus | None) -> None:
    """Write what was seen into the ledger."""
    with Ledger(ledger_path()) as ledger:
        for status in seen:
            if status is not None:
                ledger.record(status)
