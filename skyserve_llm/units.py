"""Units: bytes, money, tokens and time, in and out of text.

Sizes are integers in bytes and money is ``Decimal`` USD everywhere else; only this module
turns them into text. Knows nothing of the rest of the package.
"""

from decimal import ROUND_HALF_UP, Decimal

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30

HOURS_PER_MONTH = 730
"""365 x 24 / 12, the month every cloud's own calculator bills by."""

CENT = Decimal("0.01")


def gib(size_bytes: int) -> str:
    """``15628810240`` -> ``'14.56 GiB'``."""
    return f"{size_bytes / GIB:.2f} GiB"


def usd(amount: Decimal, places: int = 2) -> str:
    """``Decimal('160.235')`` -> ``'$160.24'`` (half up, as a bill rounds)."""
    quantum = Decimal(1).scaleb(-places)
    return f"${amount.quantize(quantum, ROUND_HALF_UP):,}"


def usd_per_hour(amount: Decimal) -> str:
    """Hourly prices show four places below a dollar and three above, as price lists do."""
    return usd(amount, 4 if amount < 1 else 3)


def count(number: float) -> str:
    """``7814405120`` -> ``'7.81B'``, ``16324`` -> ``'16.3k'``, ``812`` -> ``'812'``."""
    for bound, suffix, places in ((1e12, "T", 2), (1e9, "B", 2), (1e6, "M", 1), (1e4, "k", 1)):
        if number >= bound:
            scale = 1e3 if suffix == "k" else bound
            return f"{number / scale:.{places}f}{suffix}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """``4.2`` -> ``'4.2s'``, ``75`` -> ``'1m15s'``, ``7260`` -> ``'2h01m'``."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"
