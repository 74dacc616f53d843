"""What is remembered of each service deployed through SkyPilot, under ``services/<name>/``.

    deploy.yaml     the YAML of a deployment that was not made, or has ended
    service.yaml    the YAML that SkyPilot was given
    skypilot.json   the spec it was rendered from, its price, and when it was deployed
    deploy.lock     held while this machine starts, changes or ends the service

SkyPilot knows what runs; this knows what it was meant to be. No secret's value is in any of it.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from skyserve_llm.errors import BackendError, InputError
from skyserve_llm.home import service_dir, services_dir
from skyserve_llm.service.types import ServiceSpec

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A spec and when it was deployed under its name."""

    spec: ServiceSpec
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ServiceFiles:
    """The files of one service."""

    name: str

    @property
    def folder(self) -> Path:
        return service_dir(self.name)

    @property
    def tried(self) -> Path:
        return self.folder / "deploy.yaml"

    @property
    def running(self) -> Path:
        return self.folder / "service.yaml"

    @property
    def _deployment(self) -> Path:
        return self.folder / "skypilot.json"

    @property
    def latest(self) -> Path:
        """Where the YAML that was last written is now."""
        return self.tried if self.tried.is_file() else self.running

    def write_tried(self, yaml_text: str) -> None:
        """Leave the YAML where the user can find it, whatever happens next."""
        _write(self.tried, yaml_text.encode())

    def accept(self, deployment: Deployment) -> None:
        """What was tried is SkyPilot's from here on."""
        _write(self._deployment, _adapter().dump_json(deployment, indent=1))
        self.tried.replace(self.running)

    def load(self) -> Deployment | None:
        """What runs under this name, if it was deployed from here."""
        try:
            return _adapter().validate_json(self._deployment.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise BackendError(
                f"cannot read {self._deployment}",
                hint="remove the file: SkyPilot still knows the service, its price is lost",
            ) from error

    def forget(self) -> None:
        """Nothing of it runs. Its YAML stays, under the other name."""
        self._deployment.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self.running.replace(self.tried)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this machine from changing the service meanwhile.

        Raises:
            InputError: another one is at it.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Never removed: a lock on a file without a name would keep nobody out.
        descriptor = os.open(
            self.folder / "deploy.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    f"another llmbudget is changing service {self.name} right now",
                    hint="wait until it is done",
                ) from error
            yield
        finally:
            os.close(descriptor)


def deployed() -> list[str]:
    """Names of the services that were given to SkyPilot from here and not ended."""
    return sorted(path.parent.name for path in services_dir().glob("*/skypilot.json"))


def _adapter() -> "TypeAdapter[Deployment]":
    # Imported late: `deployed` is asked by commands that are through in 100 ms.
    from pydantic import TypeAdapter

    return TypeAdapter(Deployment)


def _write(path: Path, data: bytes) -> None:
    """Whoever reads sees the old document or the new one, never half of one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    beside.replace(path)
