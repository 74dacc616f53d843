"""Models as a table: the wording and layout of `models`. Returns renderables, prints nothing."""

from collections.abc import Iterable

from rich.table import Table

from skyserve_llm.cli.tables import plain_table
from skyserve_llm.planner.listing import Listing
from skyserve_llm.units import count


def models_table(models: Iterable[Listing]) -> Table:
    table = plain_table(
        "MODEL", "WEIGHTS", "ACTIVE", "CONTEXT", "STORED", "ENGINE", "SMALLEST GPU", right={1, 2, 3}
    )
    for model in models:
        active = model.active_parameters != model.parameters
        table.add_row(
            model.id,
            count(model.parameters),
            count(model.active_parameters) if active else "",
            f"{model.max_position_embeddings:,}",
            model.quantization or model.dtype,
            model.engine or "none",
            model.smallest_gpu or "several",
        )
    return table
