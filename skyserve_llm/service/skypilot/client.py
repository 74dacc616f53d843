"""The door to SkyPilot: the few calls of its Python SDK that a service needs.

The backend's only ``import sky``, and only when a call is made: it takes 2 s and
starts threads. What comes out are plain values and ``BackendError``. Knows nothing of plans,
specs or files.
"""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, Protocol

from skyserve_llm.errors import BackendError, InputError, LlmbudgetError
from skyserve_llm.service.skypilot.errors import first_line, translated, without_colours

Lines = Callable[[str], None]
Component = Literal["controller", "load_balancer", "replica"]


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """A service YAML as a mapping, and the values of its secrets. Never printed."""

    config: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)


class Client(Protocol):
    """What ``SkyPilotBackend`` needs of SkyPilot. Every call raises ``BackendError``."""

    def available(self) -> None:
        """Do nothing, or tell how to install SkyPilot."""

    def check(self, task: TaskRequest, *, lines: Lines) -> None:
        """Ask whether some enabled cloud can run the task. Starts nothing."""

    def status(self, name: str | None, *, lines: Lines) -> list[dict[str, Any]]:
        """SkyServe's records of that service, or of all. Empty means there is none."""

    def up(self, task: TaskRequest, name: str, *, lines: Lines) -> None:
        """Start a service. The name must be free: SkyServe would end the one that has it."""

    def update(self, task: TaskRequest, name: str, *, blue_green: bool, lines: Lines) -> None:
        """Give a running service another version."""

    def down(self, name: str, *, lines: Lines) -> None:
        """Ask for the end of a service. It goes on for minutes after this returns."""

    def tail(
        self, name: str, component: Component, replica_id: int | None, *, follow: bool, lines: Lines
    ) -> None:
        """Hand every line of a log to ``lines``."""


class SkyPilot:
    """``Client`` through SkyPilot's SDK, which starts its API server where it must."""

    def available(self) -> None:
        load_sky()

    def check(self, task: TaskRequest, *, lines: Lines) -> None:
        with _calling("SkyPilot cannot run this", lines) as (sky, output):
            with sky.Dag() as dag:
                dag.add(build_task(sky, task))
            sky.stream_and_get(sky.optimize(dag), output_stream=output)

    def status(self, name: str | None, *, lines: Lines) -> list[dict[str, Any]]:
        with _calling("cannot tell what SkyPilot runs", lines) as (sky, output):
            names = None if name is None else [name]
            try:
                records = sky.stream_and_get(sky.serve.status(names), output_stream=output)
            except sky.exceptions.ClusterNotUpError as error:
                # No controller, or one that SkyServe stopped because it had nothing to do.
                # Any other state only means that it could not be reached.
                if error.cluster_status in (None, sky.ClusterStatus.STOPPED):
                    return []
                raise
            return [dict(record) for record in records]

    def up(self, task: TaskRequest, name: str, *, lines: Lines) -> None:
        with _calling("SkyPilot could not start the service", lines) as (sky, output):
            sky.stream_and_get(sky.serve.up(build_task(sky, task), name), output_stream=output)

    def update(self, task: TaskRequest, name: str, *, blue_green: bool, lines: Lines) -> None:
        with _calling("SkyPilot could not update the service", lines) as (sky, output):
            modes = sky.serve.UpdateMode
            mode = modes.BLUE_GREEN if blue_green else modes.ROLLING
            request = sky.serve.update(build_task(sky, task), name, mode)
            sky.stream_and_get(request, output_stream=output)

    def down(self, name: str, *, lines: Lines) -> None:
        with _calling("SkyPilot could not end the service", lines) as (sky, output):
            sky.stream_and_get(sky.serve.down([name]), output_stream=output)

    def tail(
        self, name: str, component: Component, replica_id: int | None, *, follow: bool, lines: Lines
    ) -> None:
        # stdout is left alone here: this runs beside the thread that prints the lines.
        with _translating("cannot read the log"):
            output = LineWriter(lines)
            sky = load_sky()
            sky.serve.tail_logs(
                name, component, replica_id=replica_id, follow=follow, output_stream=output
            )
            output.finish()


class LineWriter(io.TextIOBase):
    """A stream that hands on whole lines, without colours and without SkyPilot's spinners."""

    def __init__(self, lines: Lines) -> None:
        self._lines, self._rest = lines, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        # A carriage return draws over the line before it.
        *whole, self._rest = (self._rest + text).replace("\r\n", "\n").split("\n")
        for line in whole:
            self._emit(line)
        return len(text)

    def flush(self) -> None:
        """Nothing is held back but a line that is not whole yet."""

    def finish(self) -> None:
        """Hand on the last line. The stream stays open: SkyPilot may have kept it as stdout."""
        rest, self._rest = self._rest, ""
        self._emit(rest)

    def _emit(self, line: str) -> None:
        clean = without_colours(line.rpartition("\r")[2]).rstrip()
        if clean and not clean.startswith("<sky-payload>"):
            self._lines(clean)


@contextlib.contextmanager
def _calling(doing: str, lines: Lines) -> Iterator[tuple[Any, LineWriter]]:
    """SkyPilot's module and a stream for its output; what it prints by itself goes there too."""
    with _translating(doing):
        sky = load_sky()
        output = LineWriter(lines)
        try:
            with contextlib.redirect_stdout(output):
                yield sky, output
        finally:
            output.finish()


@contextlib.contextmanager
def _translating(doing: str) -> Iterator[None]:
    try:
        yield
    except LlmbudgetError:
        raise
    except SystemExit as error:
        # Parts of SkyPilot that also serve its command line leave this way.
        raise BackendError(f"{doing}: SkyPilot gave up", hint="`sky check`") from error
    except Exception as error:
        raise translated(error, doing) from error


def load_sky() -> ModuleType:
    """``import sky``.

    Raises:
        BackendError: it is not installed.
    """
    try:
        # Its logger keeps the stdout of this moment for good, and ours is for results.
        with contextlib.redirect_stdout(sys.stderr):
            import sky
    except ImportError as error:
        raise BackendError(
            f"SkyPilot cannot be imported: {error}", hint="pip install 'llmbudget[sky]'"
        ) from error
    module: ModuleType = sky
    return module


def build_task(sky: Any, request: TaskRequest) -> Any:
    """The request as SkyPilot's ``Task``, checked by SkyPilot's schema and SkyServe's rules.

    Raises:
        InputError: SkyPilot refuses it.
    """
    # SkyPilot takes the mapping apart while it reads it.
    config = deepcopy(dict(request.config))
    try:
        task = sky.Task.from_yaml_config(config, secrets_overrides=list(request.secrets.items()))
        sky.serve.validate_service_task(task, pool=False)
    except Exception as error:
        raise InputError(
            f"SkyPilot refuses the service YAML: {first_line(error)}",
            hint="look at --set and --overrides; `llmbudget render` shows the whole YAML",
        ) from error
    return task
