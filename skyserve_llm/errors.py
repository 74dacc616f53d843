"""Every error a user can cause, with its exit code and a hint.

    LlmbudgetError                1   anything unexpected that we can still name
    ├── InputError                2   usage, bad input, a file that cannot be read
    │   └── DataError             2   a shipped or user-given table with a broken row
    ├── NoFeasiblePlanError       3   nothing that can be rented holds the model
    ├── OverBudgetError           4   the bill is above the stated budget
    ├── BackendError              5   a cloud, SkyPilot or the local supervisor failed
    │   ├── ServiceNotFoundError  5   no service of that name
    │   └── RefreshError          5   new prices could not be had; the old ones stay in use
    └── NotReadyError             6   the service was not ready in time

130 is an interrupt. The command line prints ``error: <message>``, a blank line and
``hint: <hint>``; nothing else may turn an error into text.
"""


class LlmbudgetError(Exception):
    """An error with one clear line and, where there is one, a way out."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(LlmbudgetError):
    """Usage, bad input or an unreadable file."""

    exit_code = 2


class DataError(InputError):
    """A table of facts (offers, GPUs, rates) with a row that cannot be used."""


class NoFeasiblePlanError(LlmbudgetError):
    """Nothing that can be rented under the given limits holds the model."""

    exit_code = 3


class OverBudgetError(LlmbudgetError):
    """The bill is above the stated budget."""

    exit_code = 4


class BackendError(LlmbudgetError):
    """A cloud, SkyPilot or the local supervisor failed."""

    exit_code = 5


class ServiceNotFoundError(BackendError):
    """No service of that name is known to the backend."""


class RefreshError(BackendError):
    """Prices could not be brought up to date; those there were stay in use."""


class NotReadyError(LlmbudgetError):
    """The service was not ready in time."""

    exit_code = 6
