"""The clouds a price table may name, and what SkyPilot can do on each.

Reads ``pricing/clouds.csv``. Knows nothing of prices, and does not ask SkyPilot itself: a test
holds the table against the installed SkyPilot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from skyserve_llm.sources.data import pricing_dir, read_table, reject

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("cloud", "name", "skypilot", "spot", "ports", "catalog")

ALIASES = {"digitalocean": "do", "k8s": "kubernetes", "vast-ai": "vast", "vast.ai": "vast"}
"""Other names of a cloud, in price lists and in SkyPilot's own registry."""


class Cloud(NamedTuple):
    """``id`` is SkyPilot's lower-case name. ``spot`` and ``ports`` are what SkyPilot supports.

    ``catalog`` is the cloud's folder in SkyPilot's hosted catalog, '' where it has none.
    """

    id: str
    name: str
    skypilot: bool
    spot: bool
    ports: bool
    catalog: str

    @property
    def serves(self) -> bool:
        """SkyServe opens a port on every replica: where SkyPilot cannot, nothing can serve."""
        return self.skypilot and self.ports


def load_clouds(path: Path | None = None) -> dict[str, Cloud]:
    """Every known cloud by its id. Raises DataError for a broken row."""
    path = path or pricing_dir() / "clouds.csv"
    clouds = {}
    for row in read_table(path, COLUMNS):
        for column, value in zip(COLUMNS[2:5], row[2:5], strict=True):
            if value not in ("0", "1"):
                reject(path, row, column, value, "is neither 0 nor 1")
        cloud_id, name, skypilot, spot, ports, catalog = row
        clouds[cloud_id] = Cloud(
            id=cloud_id,
            name=name,
            skypilot=skypilot == "1",
            spot=spot == "1",
            ports=ports == "1",
            catalog=catalog,
        )
    return clouds


def cloud_id(name: str) -> str:
    """``'DigitalOcean'`` -> ``'do'``: SkyPilot's name for a cloud written in any common way."""
    folded = name.strip().lower()
    return ALIASES.get(folded, folded)
