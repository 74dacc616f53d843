"""Values on a command line, checked, with an error that says what was expected."""

import argparse
import math
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit


def whole_number(text: str) -> int:
    """1 or more."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of 1 or more")
    return int(text)


def port(text: str) -> int:
    """0, which takes a free one, to 65535."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"'{text}' is not a port from 0 to 65535")
    return int(text)


def duration(text: str) -> float:
    """0 or more, in whatever unit the flag's name says."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time of 0 or more")
    return value


def interval(text: str) -> float:
    """More than 0."""
    value = duration(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is not a time of more than 0")
    return value


def one_of(words: Sequence[str]) -> Callable[[str], str]:
    """One of ``words``, in lower or upper case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise argparse.ArgumentTypeError(f"'{text}' is not one of {', '.join(words)}")
        return text.lower()

    return parse


def http_url(text: str) -> str:
    """``http://HOST[:PORT]``, without a slash at its end."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise argparse.ArgumentTypeError(f"'{text}' is not a URL like http://169.254.169.254")
    return text.rstrip("/")
