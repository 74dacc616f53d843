"""How long does the arithmetic of a plan take? Every bundled model, in one process.

The tables are read once and not counted: what is timed is `make_plan`, which puts a model on
every kind of instance on offer, prices each that holds it and sorts. Prints one table;
`--json FILE` writes the same. The bound in the table is the one that the tests hold it to.
"""

import argparse
import json
import time
from pathlib import Path

from skyserve_llm.planner import make_plan
from skyserve_llm.planner.engine import choose_engine
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.hub import bundled_models
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.rates import load_rates
from skyserve_llm.sources.registry import architecture_support
from skyserve_llm.sources.variants import load_variants
from skyserve_llm.types import EngineArgs, Market, Workload

BOUND_S = 1.0


def measure() -> list[dict[str, object]]:
    """A row a model: what its plan took, and what came of it."""
    gpus, rates, models = load_gpus(), load_rates(), bundled_models()
    offers, prices = load_offers(Market(), gpus)
    prepared = [
        (model, choose_engine(model, architecture_support(model)), load_variants(model.id))
        for model in models
    ]
    rows: list[dict[str, object]] = []
    for model, engine, variants in prepared:
        start = time.perf_counter()
        plan = make_plan(
            model, engine, gpus=gpus, offers=offers, prices=prices, rates=rates,
            variants=variants, workload=Workload(), engine_args=EngineArgs(),
        )  # fmt: skip
        rows.append(
            {
                "model": model.id,
                "ms": round((time.perf_counter() - start) * 1e3, 2),
                "candidates": len(plan.candidates),
                "rejected": len(plan.rejected),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    rows = measure()
    total = sum(float(str(row["ms"])) for row in rows) / 1e3
    print(f"{'model':<50}{'ms':>8}{'candidates':>12}{'rejected':>10}")
    for row in sorted(rows, key=lambda row: -float(str(row["ms"])))[:10]:
        print(f"{row['model']:<50}{row['ms']:>8}{row['candidates']:>12}{row['rejected']:>10}")
    print(f"{len(rows)} models in {total:.3f} s, to be under {BOUND_S:g} s (the slowest ten above)")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
