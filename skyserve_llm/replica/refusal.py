"""A request that the gate itself refuses, in OpenAI's shape. Knows no ASGI app."""

from skyserve_llm.replica import asgi
from skyserve_llm.replica.asgi import Headers, Send
from skyserve_llm.replica.metrics import Outcome

_CLOSE = (b"connection", b"close")


class RefusedError(Exception):
    """Why a request goes no further: the status and the one sentence its client reads.

    ``closes`` ends the connection with the answer: where the rest of the request is not
    wanted, or where it is not clear where the request ends.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        kind: str = "invalid_request_error",
        outcome: Outcome = Outcome.CLIENT_ERROR,
        headers: Headers = (),
        closes: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.kind = kind
        self.outcome = outcome
        self.headers = [*headers, _CLOSE] if closes else [*headers]

    async def answer(self, send: Send) -> None:
        await asgi.send_error(
            send, self.status, self.message, kind=self.kind, code=self.code, headers=self.headers
        )


def unauthorized(*, key_given: bool) -> RefusedError:
    """401: no key, or one that is not ours."""
    if key_given:
        message = "The API key is not one of this service."
    else:
        message = "No API key was given. Send it as 'Authorization: Bearer KEY'."
    return RefusedError(
        401,
        message,
        code="invalid_api_key",
        outcome=Outcome.UNAUTHORIZED,
        headers=[(b"www-authenticate", b"Bearer")],
    )


def busy(message: str, *, retry_after_s: int) -> RefusedError:
    """429: come back later, and when."""
    return RefusedError(
        429,
        message,
        code="overloaded",
        kind="rate_limit_error",
        outcome=Outcome.REJECTED,
        headers=[(b"retry-after", str(retry_after_s).encode())],
    )
