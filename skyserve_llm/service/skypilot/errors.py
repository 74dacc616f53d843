"""What SkyPilot raises becomes one line and a way out. The original stays as ``__cause__``.

Goes by the name of the class and by words of the message, so that it needs no ``import sky``:
an API server also sends errors of classes that the client does not have.
"""

import re
from dataclasses import dataclass

from skyserve_llm.errors import BackendError

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LINE_LIMIT = 300


@dataclass(frozen=True, slots=True)
class _Rule:
    """Errors of one of these classes, whose message holds one of these words, mean this."""

    hint: str
    classes: frozenset[str] = frozenset()
    words: str = ""

    def matches(self, names: set[str], message: str) -> bool:
        if self.classes and not self.classes & names:
            return False
        return not self.words or re.search(self.words, message, re.IGNORECASE) is not None


def _classes(*names: str) -> frozenset[str]:
    return frozenset(names)


# The first rule that matches is taken: what a message says goes before its class, because
# SkyPilot reports quota, permissions and capacity alike as ResourcesUnavailableError.
_RULES = (
    _Rule(
        classes=_classes("NoCloudAccessError"),
        hint="`sky check` shows which clouds SkyPilot can use, and how to enable one",
    ),
    _Rule(
        classes=_classes("APIVersionMismatchError", "APINotSupportedError"),
        hint="client and API server are of different SkyPilot releases: "
        "`sky api stop && sky api start` restarts a local server with this one",
    ),
    _Rule(
        classes=_classes("ApiServerAuthenticationError"),
        hint="`sky api login` signs in to the API server",
    ),
    _Rule(
        classes=_classes("ApiServerConnectionError", "ServerTemporarilyUnavailableError"),
        hint="`sky api info` shows which API server is used, `sky api start` starts a local one",
    ),
    _Rule(
        words=r"api server process exited|failed to start skypilot api server",
        hint="`sky api logs --server-logs` shows why; `sky api stop` clears a broken one",
    ),
    _Rule(
        words=r"quota|limit ?exceeded|vcpulimit|maxspotinstancecount",
        hint="ask the cloud for more quota, or plan elsewhere with --clouds or --regions",
    ),
    _Rule(
        words=r"unauthori[sz]ed|accessdenied|permission|forbidden|not authorized|credential",
        hint="`sky check` tells which permissions or credentials are missing",
    ),
    _Rule(
        classes=_classes(
            *("InvalidCloudCredentials", "InvalidCloudConfigs", "CloudUserIdentityError"),
            *("ClusterOwnerIdentityMismatchError", "PermissionDeniedError"),
        ),
        hint="`sky check` tells which permissions or credentials are missing",
    ),
    _Rule(
        words=r"insufficientinstancecapacity|zone_resource_pool_exhausted|stockout|"
        r"capacity|failed to provision",
        hint="no machine of that kind is free there now: try again later, or plan with another "
        "GPU, region or --on-demand",
    ),
    _Rule(
        classes=_classes("ResourcesUnavailableError"),
        hint="`sky check` shows the enabled clouds; plan for one of them with --clouds",
    ),
    _Rule(
        words=r"invalid instance type|invalid region|invalid zone|not found in region",
        hint="SkyPilot's catalog differs from the price table: plan again, or free the choice "
        "with --set resources.instance_type=null",
    ),
    _Rule(
        words=r"catalog|network|connection|timed? ?out",
        hint="check this machine's internet connection and try again",
    ),
    _Rule(
        words=r"no value available for secret",
        hint="export the variable and try again",
    ),
    _Rule(
        words=r"already exists",
        hint="choose another --name, or change the running service with `llmbudget update`",
    ),
)


def translated(error: BaseException, doing: str) -> BackendError:
    """The error to raise ``from error``: what was being done, and what SkyPilot said to it."""
    names = {cls.__name__ for cls in type(error).__mro__}
    message = str(error)
    hint = next((rule.hint for rule in _RULES if rule.matches(names, message)), None)
    return BackendError(f"{doing}: {first_line(error)}", hint=hint)


def first_line(error: BaseException) -> str:
    """The first line that says something, without colours."""
    lines = (_ANSI.sub("", line).strip() for line in str(error).splitlines())
    line = next((line for line in lines if line), type(error).__name__)
    return line if len(line) <= _LINE_LIMIT else f"{line[: _LINE_LIMIT - 1]}…"


def without_colours(text: str) -> str:
    return _ANSI.sub("", text)
