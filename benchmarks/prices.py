"""What a full-size catalog costs: refreshing it, and planning and asking with it afterwards.

Makes a catalog of 100,000 rows over 24 clouds in the layout of SkyPilot's hosted one, serves it on
loopback, refreshes from it, and then lays beside each other

- `plan` with the refreshed prices and with the shipped ones (time and memory);
- one question, "what does an L4 cost on every cloud", asked of `llmbudget prices show`, of pandas
  reading the same files, and of SkyPilot (`sky gpus list`, warm, and its library in a process).

SkyPilot's command talks to a server of its own, which runs here in a network of its own (`unshare`)
and ends with it; where that is not allowed, only the library is asked. Prints one table;
`--json FILE` writes the same. Every figure is of whole processes, the median of `--runs`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

from made.hosted_catalog import CLOUDS, make_catalog

MODEL = "mlabonne/phixtral-4x2_8"
LLMBUDGET = str(Path(sys.executable).with_name("llmbudget"))
GPU = "L4"
PLAN = [LLMBUDGET, "plan", MODEL, "-o", "json"]
SHOW = [LLMBUDGET, "prices", "show", "--gpus", f"{GPU}:1", "-o", "json"]

# The one question, of the same files. `sys.argv[1]` is the folder of clouds.
PANDAS = f"""
import glob, sys
import pandas as pd
columns = ["InstanceType", "AcceleratorName", "AcceleratorCount", "Price", "SpotPrice", "Region"]
for path in glob.glob(sys.argv[1] + "/*/vms.csv"):
    table = pd.read_csv(path, usecols=columns)
    table = table[(table.AcceleratorName == "{GPU}") & (table.AcceleratorCount == 1)]
    print(path, table.Price.min(), table.SpotPrice.min())
"""
SKY_LIBRARY = f"""
from sky import catalog
from sky.skylet.constants import ALL_CLOUDS
clouds = [cloud for cloud in ALL_CLOUDS if cloud in {CLOUDS!r}]
catalog.list_accelerators(
    name_filter="^{GPU}$", quantity_filter=1, all_regions=True, clouds=clouds
)
"""
SKY_ALONE = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child",
             "--mount-proc", "sh", "-c"]  # fmt: skip
SKY_COMMAND = f"""
ip link set lo up || exit 9
for run in 1 2 3; do
  start=$(date +%s%N)
  {Path(sys.executable).with_name("sky")} gpus list {GPU}:1 --all-regions >"$HOME/list" || exit 9
  echo $(( $(date +%s%N) - start ))
done
"""
# Run under a small process: a child's peak memory would otherwise include its parent's.
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The URL under which a folder is served; the server dates files, and answers 304."""
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def environment(home: Path) -> dict[str, str]:
    """Bytecode is cached as for any installed program; prices and catalogs lie under ``home``."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"HOME": str(home), "LLMBUDGET_HOME": str(home / "llmbudget")}


def seconds(command: list[str], home: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment(home))
    return time.perf_counter() - start


def typical(command: list[str], home: Path, runs: int) -> float:
    seconds(command, home)  # warm the page cache
    return median(seconds(command, home) for _ in range(runs))


def peak_mib(command: list[str], home: Path) -> float:
    measured = subprocess.run(
        [sys.executable, "-c", PEAK, *command],
        check=True, capture_output=True, env=environment(home),
    )  # fmt: skip
    return int(measured.stdout) / 1024


def sky_command(home: Path) -> float | None:
    """`sky gpus list` once its server runs, the better of two; None where it cannot run here."""
    if not shutil.which("unshare"):
        return None
    done = subprocess.run(
        [*SKY_ALONE, SKY_COMMAND],
        check=False, capture_output=True, env=environment(home), cwd=home,
    )  # fmt: skip
    if done.returncode:
        return None
    _, *warm = (int(line) / 1e9 for line in done.stdout.split())
    return min(warm)


def measure(
    rows: int, runs: int, folder: Path
) -> tuple[list[dict[str, object]], dict[str, object]]:
    home, fresh = folder / "home", folder / "fresh"
    catalogs = home / ".sky" / "catalogs"  # where SkyPilot looks for them, too
    made = make_catalog(catalogs, rows)
    fresh.mkdir()
    with serving(catalogs) as url:
        refresh = [LLMBUDGET, "prices", "refresh", "--url", url, "-o", "json"]
        first = seconds(refresh, home)
        again = median(seconds(refresh, home) for _ in range(3))
        told = subprocess.run(refresh, check=True, capture_output=True, env=environment(home))
    table = []

    def row(what: str, took: float, beside: str = "", other: float | None = None) -> None:
        ratio = None if other is None else round(took / other, 2)
        table.append({"what": what, "ms": round(took * 1e3, 1), "ratio": ratio, "to": beside})

    shipped, refreshed = typical(PLAN, fresh, runs), typical(PLAN, home, runs)
    show = typical(SHOW, home, runs)
    row("prices refresh: download, normalize, put in place", first)
    row("prices refresh: nothing new (304)", again)
    row("plan, shipped prices", shipped)
    row("plan, refreshed prices", refreshed, "plan, shipped prices", shipped)
    row(f"prices show --gpus {GPU}:1", show)
    ask_pandas = [sys.executable, "-c", PANDAS, str(catalogs / "v8")]
    row("pandas reads the same files", typical(ask_pandas, home, 3), "prices show", show)
    ask_sky = [sys.executable, "-c", SKY_LIBRARY]
    row("sky.catalog.list_accelerators", typical(ask_sky, home, 1), "prices show", show)
    warm = sky_command(home)
    if warm is not None:
        row(f"sky gpus list {GPU}:1 --all-regions, warm", warm, "prices show", show)
    facts = {
        "catalog_rows": made,
        "clouds": len(CLOUDS),
        "prices": json.loads(told.stdout)["prices"],
        "plan_peak_mib": round(peak_mib(PLAN, home), 1),
        "plan_peak_mib_shipped": round(peak_mib(PLAN, fresh), 1),
        "sky_gpus_list": "measured" if warm is not None else "cannot run alone on this machine",
    }
    return table, facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table, facts = measure(options.rows, options.runs, Path(folder))
    print(f"{'what':<52}{'ms':>10}{'ratio':>9}   to")
    for row in table:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        print(f"{row['what']:<52}{row['ms']:>10.1f}{ratio:>9}   {row['to']}")
    for name, value in facts.items():
        print(f"{name:<52}{value:>10}")
    if options.json:
        options.json.write_text(json.dumps({"table": table, **facts}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
