"""How quick is `plan`? The whole process beside the least it could import, in alternation.

`plan -o json` is laid beside `python -c "import click"`, its table beside
`python -c "import click, rich.table"`: what lies above is ours. Prints one table; `--json FILE`
writes the same. Ratios are of medians in one run, so that a machine's mood cancels out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

MODEL = "mlabonne/phixtral-4x2_8"
LLMBUDGET = str(Path(sys.executable).with_name("llmbudget"))
CASES = {
    "plan -o json": ([LLMBUDGET, "plan", MODEL, "-o", "json"], "import click"),
    "plan (table)": ([LLMBUDGET, "plan", MODEL], "import click, rich.table"),
    "plan --cloud gcp --spot -o json": (
        [LLMBUDGET, "plan", MODEL, "--cloud", "gcp", "--spot", "-o", "json"],
        "import click",
    ),
}


def seconds(command: list[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def measure(runs: int, home: str) -> list[dict[str, object]]:
    # Bytecode is cached as for any installed program; a fresh home as for any first plan.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["LLMBUDGET_HOME"] = home
    rows = []
    for name, (ours, imports) in CASES.items():
        floor = [sys.executable, "-c", imports]
        for command in (ours, floor):
            seconds(command, environment)  # warm the page cache
        pairs = [(seconds(ours, environment), seconds(floor, environment)) for _ in range(runs)]
        mine, theirs = (median(side) for side in zip(*pairs, strict=True))
        rows.append(
            {
                "command": name,
                "floor": f'python -c "{imports}"',
                "command_ms": round(mine * 1e3, 1),
                "floor_ms": round(theirs * 1e3, 1),
                "ratio": round(mine / theirs, 2),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        rows = measure(options.runs, home)
    print(f"{'command':<34}{'ms':>8}{'floor ms':>10}{'ratio':>7}   floor")
    for row in rows:
        print(
            f"{row['command']:<34}{row['command_ms']:>8}{row['floor_ms']:>10}{row['ratio']:>7}"
            f"   {row['floor']}"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
