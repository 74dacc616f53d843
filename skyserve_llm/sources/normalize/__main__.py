"""``python -m skyserve_llm.sources.normalize OFFERS GPUS --out pricing --date YYYY-MM-DD``.

Writes ``offers.csv``, ``gpus.csv``, ``sources.csv`` and ``snapshot.json`` into a folder that
already holds ``clouds.csv``. Reads no clock: the snapshot's date is given.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from skyserve_llm.errors import LlmbudgetError
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.normalize import raw, tables
from skyserve_llm.sources.normalize.rules import normalize

if TYPE_CHECKING:
    from collections.abc import Sequence


def write_tables(raw_offers: Path, raw_gpus: Path, out: Path, snapshot: date) -> None:
    """Normalizes both raw tables into ``out``. Raises DataError, and then writes nothing."""
    offers, gpus = raw.read_offers(raw_offers), raw.read_gpus(raw_gpus)
    known = {tables.gpu_name(gpu): tables.gpu_memory(gpu) for gpu in gpus}
    outcome = normalize(offers, known, load_clouds(out / "clouds.csv"), snapshot)
    texts = {
        "offers.csv": tables.offers_table(outcome.kept),
        "gpus.csv": tables.gpus_table(gpus),
        "sources.csv": tables.sources_table(offers, outcome.kept),
        "snapshot.json": tables.snapshot_text(snapshot, offers, outcome),
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m skyserve_llm.sources.normalize",
        description="Turn raw price rows and GPU facts into the tables under pricing/.",
    )
    parser.add_argument("offers", type=Path, help="raw offers, CSV")
    parser.add_argument("gpus", type=Path, help="raw GPU facts, CSV")
    parser.add_argument("--out", type=Path, required=True, help="folder with clouds.csv in it")
    parser.add_argument(
        "--date", type=date.fromisoformat, required=True, help="the snapshot's date, YYYY-MM-DD"
    )
    given = parser.parse_args(arguments)
    try:
        write_tables(given.offers, given.gpus, given.out, given.date)
    except LlmbudgetError as error:
        hint = f"\n\nhint: {error.hint}" if error.hint else ""
        sys.stderr.write(f"error: {error.message}{hint}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
