"""What can stop a replica from starting. Errors of a request live in `api_errors`."""


class StartError(Exception):
    """A replica that cannot start as asked: one clear line, a way out, exit code 2."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"error: {self.message}" + (f"\n\nhint: {self.hint}" if self.hint else "")
