"""The one protocol behind which services run: this machine or SkyPilot.

Every command after ``plan`` speaks to a ``Backend`` and cannot tell which it is.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from skyserve_llm.service.types import BackendName, ServiceSpec, ServiceStatus

Progress = Callable[[str], None]
"""Receives one line of progress at a time; the command line sends it to stderr."""


class Backend(Protocol):
    """Runs services. All methods raise ``BackendError`` with one clear line when it fails."""

    name: BackendName

    def deploy(
        self, spec: ServiceSpec, *, progress: Progress, timeout_seconds: float
    ) -> ServiceStatus:
        """Start a service and return once a request through its endpoint was answered.

        Raises:
            InputError: a service of that name exists, or a port is taken.
            NotReadyError: not ready within ``timeout_seconds``; the service is left running.
        """
        ...

    def status(self, name: str | None = None) -> list[ServiceStatus]:
        """The service of that name, or all. An unknown name is an empty list."""
        ...

    def logs(
        self, name: str, *, replica_id: int | None, load_balancer: bool, follow: bool
    ) -> Iterator[str]:
        """Lines of the controller's log, of one replica's, or of the load balancer's.

        Raises:
            ServiceNotFoundError: no such service or replica.
        """
        ...

    def scale(self, name: str, replicas: int, *, progress: Progress) -> ServiceStatus:
        """Ask for another number of replicas and return without waiting for them.

        Raises:
            ServiceNotFoundError: no such service.
        """
        ...

    def down(self, name: str, *, progress: Progress) -> ServiceStatus | None:
        """End the service and return once nothing of it runs. An unknown name returns None.

        The status that is returned is the last one seen, with every replica ended, so that
        the ledger can close their intervals.
        """
        ...
