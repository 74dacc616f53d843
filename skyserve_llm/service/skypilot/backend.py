"""``Backend`` through SkyPilot: services that SkyServe runs on rented machines.

Decides what to ask and in which order; the asking is ``client.py``, the reading of answers
``status.py``, the waiting ``waiting.py``, the remembering ``store.py``. The order matters:
SkyServe ends a running service when another is started under its name.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import yaml

from skyserve_llm.errors import BackendError, InputError, LlmbudgetError, ServiceNotFoundError
from skyserve_llm.service import overrides as override
from skyserve_llm.service.backend import Progress
from skyserve_llm.service.render import render
from skyserve_llm.service.skypilot import waiting
from skyserve_llm.service.skypilot.client import Client, Component, SkyPilot, TaskRequest
from skyserve_llm.service.skypilot.lines import lines_of
from skyserve_llm.service.skypilot.secrets import secret_values
from skyserve_llm.service.skypilot.status import ended, service_status
from skyserve_llm.service.skypilot.store import Deployment, ServiceFiles
from skyserve_llm.service.spec import check_name, check_replicas, is_name, scaled, unpriced
from skyserve_llm.service.types import BackendName, ServiceSpec, ServiceState, ServiceStatus

DOWN_SECONDS = 1800.0
"""How long ``down`` looks on. SkyServe ends machines one after another, a minute or more each."""


class SkyPilotBackend:
    """Services that SkyServe runs. ``overrides`` are merged into the YAML of ``deploy``."""

    name: BackendName = "skypilot"

    def __init__(
        self,
        *,
        overrides: Mapping[str, Any] | None = None,
        client: Client | None = None,
        environ: Mapping[str, str] = os.environ,
        is_answering: waiting.Answers = waiting.answers,
        clock: waiting.Clock | None = None,
    ) -> None:
        self._overrides = overrides or {}
        self._client: Client = client or SkyPilot()
        self._environ = environ
        self._is_answering = is_answering
        self._clock: waiting.Clock = clock or waiting.SystemClock()

    def deploy(
        self, spec: ServiceSpec, *, progress: Progress, timeout_seconds: float
    ) -> ServiceStatus:
        """Start a service and return once a request through its endpoint was answered.

        Raises:
            InputError: a service of that name exists, or something about the spec is wrong.
            BackendError: SkyPilot or a cloud failed; the message says where the YAML is.
            NotReadyError: not ready within ``timeout_seconds``; the service is left running.
        """
        name = check_name(spec.name)
        deadline = self._clock.monotonic() + timeout_seconds
        self._client.available()
        text = render(spec, overrides=self._overrides)
        request = self._request(text)
        files = ServiceFiles(name)
        with files.locked(), self._leaving(files, text):
            progress("asking SkyPilot which cloud can run it")
            self._client.check(request, lines=progress)
            if self._client.status(name, lines=progress):
                raise InputError(
                    f"a service named {name} is already running",
                    hint=f"choose another --name, or end it with `llmbudget down {name}`",
                )
            # Before the call: if this process dies in it, `down` must know what to end.
            files.accept(Deployment(spec=self._priced(spec), created_at=self._clock.now()))
            progress("asking SkyServe to start it")
            try:
                self._client.up(request, name, lines=progress)
            except LlmbudgetError:
                self._forget_unless_there(files, progress)
                raise
        return waiting.until_answering(
            lambda: self._look(name, progress),
            self._is_answering,
            name=name,
            path=spec.readiness_probe.path,
            clock=self._clock,
            progress=progress,
            deadline=deadline,
        )

    def status(self, name: str | None = None) -> list[ServiceStatus]:
        """The service of that name, or all. An unknown name is an empty list."""
        if name is not None and not is_name(name):
            return []
        now = self._clock.now()
        return [self._read(record, now) for record in self._client.status(name, lines=_nobody)]

    def logs(
        self, name: str, *, replica_id: int | None, load_balancer: bool, follow: bool
    ) -> Iterator[str]:
        """Lines of the controller's log, of one replica's, or of the load balancer's.

        Raises:
            ServiceNotFoundError: no such service or replica.
        """
        status = self._existing(name)
        component: Component = "load_balancer" if load_balancer else "controller"
        if replica_id is not None:
            component = "replica"
            if all(replica.replica_id != replica_id for replica in status.replicas):
                raise ServiceNotFoundError(
                    f"service {name} has no replica {replica_id}",
                    hint=f"`llmbudget status {name}` lists them",
                )
        return lines_of(
            lambda lines: self._client.tail(name, component, replica_id, follow=follow, lines=lines)
        )

    def scale(self, name: str, replicas: int, *, progress: Progress) -> ServiceStatus:
        """Ask for another number of replicas and return without waiting for them.

        SkyServe starts new replicas and then ends the old ones, all of them: it does so at
        every update of a service that mounts files.

        Raises:
            ServiceNotFoundError: no such service.
        """
        check_replicas(replicas)
        self._existing(name)
        files = ServiceFiles(name)
        deployment = files.load()
        if deployment is None or not files.running.is_file():
            raise InputError(
                f"service {name} was not deployed from here, so its YAML is not known",
                hint="scale it where it was deployed, or with `sky serve update`",
            )
        text = files.running.read_text("utf-8")
        text = override.apply(text, override.to_replicas(yaml.safe_load(text), replicas))
        progress("SkyServe will replace every replica, new ones first")
        self._update(files, scaled(deployment.spec, replicas), text, progress, blue_green=False)
        return self._existing(name)

    def update(
        self, spec: ServiceSpec, *, progress: Progress, blue_green: bool = False
    ) -> ServiceStatus:
        """Give the running service of that name another spec, without an outage.

        Raises:
            ServiceNotFoundError: no such service.
        """
        self._existing(check_name(spec.name))
        text = render(spec, overrides=self._overrides)
        files = ServiceFiles(spec.name)
        self._update(files, self._priced(spec), text, progress, blue_green=blue_green)
        return self._existing(spec.name)

    def down(self, name: str, *, progress: Progress) -> ServiceStatus | None:
        """End the service and return once nothing of it runs. An unknown name returns None.

        The status that is returned is the last one seen, with every replica ended.
        """
        # Not only for the message: SkyServe would take `*` for every service there is.
        if not is_name(name):
            return None
        files = ServiceFiles(name)
        with files.locked():
            status = self._look(name, progress)
            if status is None:
                files.forget()
                return None
            if status.state is ServiceState.CONTROLLER_FAILED:
                raise waiting.cleanup_failed(status)
            self._client.down(name, lines=progress)
            last = waiting.until_gone(
                lambda: self._look(name, progress),
                status,
                clock=self._clock,
                progress=progress,
                deadline=self._clock.monotonic() + DOWN_SECONDS,
            )
            files.forget()
        return ended(last, self._clock.now())

    def _update(
        self,
        files: ServiceFiles,
        spec: ServiceSpec,
        text: str,
        progress: Progress,
        *,
        blue_green: bool,
    ) -> None:
        request = self._request(text)
        with files.locked(), self._leaving(files, text):
            before = files.load()
            self._client.update(request, files.name, blue_green=blue_green, lines=progress)
            created_at = before.created_at if before else self._clock.now()
            files.accept(Deployment(spec=spec, created_at=created_at))

    def _request(self, text: str) -> TaskRequest:
        config = yaml.safe_load(text)
        return TaskRequest(config, secret_values(config.get("secrets") or {}, self._environ))

    @contextlib.contextmanager
    def _leaving(self, files: ServiceFiles, text: str) -> Iterator[None]:
        """Leave the YAML for the user first, and say where it is if SkyPilot fails."""
        files.write_tried(text)
        try:
            yield
        except BackendError as error:
            raise type(error)(
                f"{error.message} (the YAML is in {files.latest})", hint=error.hint
            ) from error.__cause__

    def _forget_unless_there(self, files: ServiceFiles, progress: Progress) -> None:
        # Unknown is not gone: then what was saved must stay, so that `down` and the bill know.
        with contextlib.suppress(LlmbudgetError):
            if not self._client.status(files.name, lines=progress):
                files.forget()

    def _look(self, name: str, progress: Progress) -> ServiceStatus | None:
        now = self._clock.now()
        records = self._client.status(name, lines=progress)
        return self._read(records[0], now) if records else None

    def _existing(self, name: str) -> ServiceStatus:
        found = self.status(name)
        if not found:
            raise ServiceNotFoundError(
                f"SkyServe runs no service named {name}", hint="`llmbudget status` lists them"
            )
        return found[0]

    def _read(self, record: Mapping[str, Any], now: datetime) -> ServiceStatus:
        return service_status(record, ServiceFiles(record["name"]).load(), now)

    def _priced(self, spec: ServiceSpec) -> ServiceSpec:
        return unpriced(spec) if override.changes_machines(self._overrides) else spec


def _nobody(line: str) -> None:
    """A look that nobody waits for reports nothing."""
