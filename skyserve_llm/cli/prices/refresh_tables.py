"""The wording of `prices refresh`. Returns renderables, prints nothing."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from skyserve_llm.cli.tables import plain_table

if TYPE_CHECKING:
    from skyserve_llm.sources.refresh.job import Refreshed


def refresh_report(refreshed: "Refreshed") -> Iterator[Table | Text]:
    """A line a cloud, what was not kept and why, and what is in use now."""
    table = plain_table("CLOUD", "CATALOG", "AS OF", "GPU ROWS", "PRICES", right={3, 4})
    for one in refreshed.clouds:
        table.add_row(
            one.cloud, one.catalog, one.as_of or "unknown", f"{one.rows:,}", f"{one.prices:,}"
        )
    yield table
    if refreshed.dropped:
        reasons = plain_table("NOT KEPT", "BECAUSE", right={0})
        for reason, count in refreshed.dropped.items():
            reasons.add_row(f"{count:,}", reason)
        yield reasons
    if refreshed.ignored:
        yield Text(f"ignored, no cloud that is known: {', '.join(refreshed.ignored)}", style="dim")
    yield Text(
        f"in use   {refreshed.prices:,} prices as of {refreshed.snapshot}, from "
        f"{refreshed.origin}; clouds not listed keep theirs"
    )
