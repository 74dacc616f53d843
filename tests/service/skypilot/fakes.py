"""A SkyPilot that answers from a script, and a clock that never waits."""

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from skyserve_llm.errors import BackendError
from skyserve_llm.service.skypilot.client import Component, Lines, TaskRequest

Answer = list[dict[str, Any]] | BackendError


class FakeClock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class FakeSkyPilot:
    """``answers`` are what ``status`` says, one after the other; the last one for good."""

    def __init__(self, *answers: Answer, fails: dict[str, BackendError] | None = None) -> None:
        self.answers: deque[Answer] = deque(answers or ([],))
        self.fails = fails or {}
        self.asked: list[str] = []
        self.requests: list[TaskRequest] = []
        self.log_lines: Iterable[str] = ()

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what.split(maxsplit=1)[0] in self.fails:
            raise self.fails[what.split(maxsplit=1)[0]]

    def available(self) -> None:
        self._ask("available")

    def check(self, task: TaskRequest, *, lines: Lines) -> None:
        lines("optimizing")
        self._ask("check")

    def status(self, name: str | None, *, lines: Lines) -> list[dict[str, Any]]:
        self._ask("status")
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BackendError):
            raise answer
        return answer

    def up(self, task: TaskRequest, name: str, *, lines: Lines) -> None:
        self.requests.append(task)
        self._ask(f"up {name}")

    def update(self, task: TaskRequest, name: str, *, blue_green: bool, lines: Lines) -> None:
        self.requests.append(task)
        self._ask(f"update {name}{' blue-green' if blue_green else ''}")

    def down(self, name: str, *, lines: Lines) -> None:
        self._ask(f"down {name}")

    def tail(
        self, name: str, component: Component, replica_id: int | None, *, follow: bool, lines: Lines
    ) -> None:
        self._ask(f"tail {name} {component} {replica_id} {follow}")
        for line in self.log_lines:
            lines(line)

    @property
    def orders(self) -> list[str]:
        """What was asked for but looks."""
        return [what for what in self.asked if what not in ("status", "available", "check")]
