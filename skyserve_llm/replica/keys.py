"""API keys: where they come from and how one is checked. Knows nothing of ASGI.

Keys come from the environment or a file, never from argv, which every user of a machine can
read. Several keys may hold at once, so that one can be replaced without an outage.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path

from skyserve_llm.replica.errors import StartError

KEY_VARIABLE = "LLMBUDGET_API_KEY"
KEY_FILE_VARIABLE = "LLMBUDGET_API_KEY_FILE"


class KeyRing:
    """The keys that open this replica. With none, everyone may enter (loopback use)."""

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    @property
    def is_open(self) -> bool:
        return not self._digests

    def accepts(self, authorization: bytes | None) -> bool:
        """Whether an ``Authorization`` header carries one of the keys."""
        if self.is_open:
            return True
        scheme, _, credential = (authorization or b"").partition(b" ")
        offered = _digest(credential.strip())
        # Every key is compared and every digest is of one length: the time taken tells
        # nothing of which key came close, nor of a key's length.
        matches = [hmac.compare_digest(offered, digest) for digest in self._digests]
        return scheme.lower() == b"bearer" and any(matches)


def load_keys(environ: Mapping[str, str], key_file: Path | None) -> KeyRing:
    """The keys of ``key_file`` where there is one, else of ``LLMBUDGET_API_KEY``."""
    if key_file is not None:
        return KeyRing(_keys_in_file(key_file))
    value = environ.get(KEY_VARIABLE, "")
    keys = _split(value)
    if value and not keys:
        # A door that someone meant to lock must not stand open for a typo.
        raise StartError(
            f"{KEY_VARIABLE} is set but holds no key",
            hint="give it one key, or several with commas between them, or unset it",
        )
    return KeyRing(keys)


def _keys_in_file(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise StartError(f"cannot read the API key file {path}: {reason}") from error
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    keys = [key for line in lines for key in _split(line)]
    if not keys:
        raise StartError(
            f"the API key file {path} holds no key", hint="write one key a line into it"
        )
    return keys


def _split(value: str) -> list[str]:
    return [key for part in value.split(",") if (key := part.strip())]


def _digest(credential: bytes) -> bytes:
    return hashlib.sha256(credential).digest()
