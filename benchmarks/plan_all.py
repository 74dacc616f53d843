"""How long does the arithmetic of a plan take? Every bundled model in one process.

Reading the tables is not counted. Prints one table; `--json FILE` writes the same.
"""

import argparse
import json
import time
from pathlib import Path

from skyserve_llm.planner import make_plan
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.hub import bundled_models
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.rates import load_rates
from skyserve_llm.sources.variants import load_variants
from skyserve_llm.types import EngineArgs, EngineChoice, Market, Workload


def measure() -> dict[str, float]:
    gpus, rates, models = load_gpus(), load_rates(), bundled_models()
    offers, prices = load_offers(Market(), gpus)
    variants = {model.id: load_variants(model.id) for model in models}
    engine = EngineChoice("vllm", "all of them, so that smaller weights are tried too")
    candidates, slowest = 0, 0.0
    start = time.perf_counter()
    for model in models:
        begin = time.perf_counter()
        plan = make_plan(
            model,
            engine,
            gpus=gpus,
            offers=offers,
            prices=prices,
            rates=rates,
            workload=Workload(),
            engine_args=EngineArgs(),
            variants=() if model.quantization else variants[model.id],
        )
        candidates += len(plan.candidates)
        slowest = max(slowest, time.perf_counter() - begin)
    return {
        "models": len(models),
        "offers": len(offers),
        "candidates": candidates,
        "all_s": round(time.perf_counter() - start, 3),
        "slowest_ms": round(slowest * 1e3, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    found = measure()
    for name, value in found.items():
        print(f"{name:<12}{value:>10,}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
