"""A folder of catalogs: what lies in it, and of which layout it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from skyserve_llm.errors import InputError
from skyserve_llm.sources.catalogs import gpuhunt, skypilot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from skyserve_llm.sources.catalogs.rows import Imported
    from skyserve_llm.sources.clouds import Cloud

VERSION = "v8"
"""The schema of SkyPilot's catalogs that this release reads, that of SkyPilot 0.14."""


class CatalogFile(NamedTuple):
    """One cloud's catalog, on this machine.

    ``label`` names it in messages, ``source`` in ``normalize.provenance``'s words; ``origin`` is
    the URL or folder it comes from, ``as_of`` the ISO date its prices are taken to be true on.
    """

    cloud: str
    path: Path
    label: str
    source: str
    origin: str
    as_of: str

    def read(self) -> Imported:
        """Raises DataError for a file that is no catalog or has garbage in a cell."""
        foreign = self.source.startswith("gpuhunt")
        read = gpuhunt.read_catalog if foreign else skypilot.read_catalog
        return read(self.path, self.cloud, self.source, self.as_of, self.label)


class Folder(NamedTuple):
    """The catalogs of a folder; ``strange`` are those of clouds that clouds.csv does not have."""

    catalogs: list[CatalogFile]
    strange: list[str]


def find_catalogs(folder: Path, clouds: Mapping[str, Cloud]) -> Folder:
    """The catalogs in a folder of SkyPilot (``~/.sky/catalogs``, or its ``v8``) or of gpuhunt.

    Their prices are dated by their files: a file is as old as its last change, which is when
    SkyPilot downloaded it (or last failed to). Raises InputError where there is no catalog.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", hint=_HINT)
    root = folder / VERSION if (folder / VERSION).is_dir() else folder
    of_skypilot = sorted(path for path in root.glob("*/vms.csv") if path.is_file())
    if of_skypilot:
        ids = {cloud.catalog: cloud.id for cloud in clouds.values() if cloud.catalog}
        return _known(
            (path.parent.name, ids.get(path.parent.name), path, f"{path.parent.name}/vms.csv")
            for path in of_skypilot
        )
    of_gpuhunt = [path for path in sorted(folder.glob("*.csv")) if _is_gpuhunt(path)]
    if of_gpuhunt:
        ids = {path.stem: gpuhunt.provider_cloud(path.stem) for path in of_gpuhunt}
        known = {name: cloud for name, cloud in ids.items() if cloud in clouds}
        return _known((path.stem, known.get(path.stem), path, path.name) for path in of_gpuhunt)
    raise InputError(
        f"no price catalogs in {folder}: neither <cloud>/vms.csv nor a <provider>.csv of gpuhunt",
        hint=_HINT,
    )


_HINT = "--from takes ~/.sky/catalogs, a folder like it, or a folder of gpuhunt's catalogs"


def _known(found: Iterable[tuple[str, str | None, Path, str]]) -> Folder:
    catalogs, strange = [], []
    for name, cloud, path, label in found:
        if cloud is None:
            strange.append(name)
            continue
        local = path.name == "vms.csv"
        catalogs.append(
            CatalogFile(
                cloud=cloud,
                path=path,
                label=label,
                source=f"~/.sky/catalogs {VERSION}/{name}/vms.csv" if local else f"gpuhunt {label}",
                origin=str(path),
                as_of=changed_on(path),
            )
        )
    return Folder(catalogs, strange)


def changed_on(path: Path) -> str:
    """The day of a file's last change, UTC."""
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()


def _is_gpuhunt(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as lines:
            return set(gpuhunt.REQUIRED) <= set(lines.readline().strip().split(","))
    except (OSError, UnicodeDecodeError):
        return False
