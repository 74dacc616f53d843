"""Which of an engine's routes are open. Pure.

An engine's server has routes for its operator too (reload weights, sleep, tokenize, load,
documentation), some of them without a key of their own. What is not on the list is not there.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from skyserve_llm.replica.asgi import Scope

# What clients of OpenAI's API use. An engine that lacks one of them says 404 itself.
PUBLIC = (
    "/v1/models",
    "/v1/models/*",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
)


@dataclass(frozen=True, slots=True)
class Route:
    """``[METHOD ]/path``: any method where none is given; a ``*`` at the end is any rest."""

    method: str | None
    path: str

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Raises ValueError with the reason."""
        method, _, path = text.strip().rpartition(" ")
        if not path.startswith("/"):
            raise ValueError(f"'{text}' is no route: write '/path' or 'GET /path'")
        return cls(method.strip().upper() or None, path)

    def __str__(self) -> str:
        return f"{self.method} {self.path}" if self.method else self.path

    def matches(self, method: str, path: str) -> bool:
        if self.method not in (None, method):
            return False
        if self.path.endswith("*"):
            return path.startswith(self.path[:-1])
        return path == self.path


class RouteList:
    """The public routes, and those that were asked for."""

    def __init__(self, asked_for: Iterable[Route] = ()) -> None:
        self._routes = [*map(Route.parse, PUBLIC), *asked_for]

    def opens(self, scope: Scope) -> bool:
        """Whether a request may reach the app."""
        path = _path(scope)
        return any(route.matches(scope["method"], path) for route in self._routes)


def _path(scope: Scope) -> str:
    """The path that the app's router will look at: without the prefix it is mounted under."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/"):
        return path[len(root) :]
    return path
