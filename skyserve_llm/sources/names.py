"""Names as a user types them -> names as the tables have them, or the nearest ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyserve_llm.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection


def known_name(what: str, name: str, known: Collection[str]) -> str:
    """The known name that ``name`` means, whatever its case and hyphens.

    ``what`` is the noun of the message. Raises InputError with the nearest known names.
    """
    if name in known:
        return name
    folded = _fold(name)
    for candidate in known:
        if _fold(candidate) == folded:
            return candidate
    raise InputError(f"unknown {what} {name!r}", hint=_nearest(what, folded, known))


def _fold(name: str) -> str:
    """``'a100_80gb'``, ``'A100-80GB'`` and ``'A100 80GB'`` are one name."""
    return name.lower().translate({ord(mark): None for mark in "-_ "})


def _nearest(what: str, folded: str, known: Collection[str]) -> str:
    from difflib import get_close_matches

    names = {_fold(name): name for name in sorted(known)}
    near = [names[match] for match in get_close_matches(folded, names, n=3, cutoff=0.5)]
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    # All clouds and GPUs fit a screen; regions, unless a cloud narrows them down, do not.
    shown = ", ".join(names.values()) if len(names) <= 60 else f"{len(names)}, too many to list"
    return f"{meant}known {what}s: {shown or 'none'}"
