# ruff: noqa: E501  (the table is as wide as it is)
"""The plan's table as it reads, on a market small enough to see whole."""

import io
from datetime import date
from decimal import Decimal

from inline_snapshot import snapshot
from rich.console import Console

from skyserve_llm.cli.tables import plan_report
from skyserve_llm.planner import make_plan
from skyserve_llm.types import EngineArgs, EngineChoice, PriceSnapshot, Rate, Workload
from tests.planner.cards import CARDS, PHIXTRAL, offer

ENGINE = EngineChoice("transformers", "vLLM does not serve it")

RATE = Rate(
    cloud="gcp",
    disk_gib_month=Decimal("0.10"),
    egress_gib=Decimal("0.12"),
    controller_hour=Decimal("0.20"),
    as_of=None,
    source="test",
)


def table() -> str:
    plan = make_plan(
        PHIXTRAL,
        ENGINE,
        gpus=CARDS,
        offers=[
            offer("L4", 1, "0.7065"),
            offer("L4", 1, "0.2149", spot=True),
            offer("L4", 1, "0.09", cloud="elsewhere")._replace(marks=("off_market", "undated")),
            offer("A100", 1, "3.67", cloud="elsewhere")._replace(marks=("undated",)),
        ],
        prices=PriceSnapshot(
            snapshot="2026-11-23", as_of={"gcp": date(2026, 1, 1), "elsewhere": None}
        ),
        rates={"gcp": RATE},
        workload=Workload(replicas=2),
        engine_args=EngineArgs(),
    )
    text = io.StringIO()
    console = Console(file=text, width=150, highlight=False)
    for part in plan_report(plan, total=5):
        console.print(part)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def test_the_plan_reads_as_it_should() -> None:
    assert table() == snapshot("""\
mlabonne/phixtral-4x2_8  PhiForCausalLM  7.81B parameters (4.46B active)  float16
engine    transformers: vLLM does not serve it
workload  8 requests at once of 512 tokens in and 256 out, context 2,048, 2 replicas
memory    on L4: 14.56 GiB weights + 0.31 GiB activations + 0.67 GiB overhead + 4.77 GiB KV cache = 20.31 GiB usable (327,680 bytes a token)


 INFRA                    INSTANCE   GPUS     WEIGHTS   SPOT      $/hr     $/month   KV TOKENS   REQUESTS   TOKENS/S   $/1M OUT   CHOSEN   MARK
 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
 elsewhere/us-central1-   l4-1       L4:1                      $0.0900     $303.00       15.6k        7.6        139      $0.41            off_market
 a
 gcp/us-central1-a        l4-1       L4:1               spot   $0.2149     $530.60       15.6k        7.6        139      $0.73   ✔
 gcp/us-central1-a        l4-1       L4:1                      $0.7065   $1,248.34       15.6k        7.6        139      $1.71
 elsewhere/us-central1-   a100-1     A100:1                     $3.670   $5,529.80       68.3k       33.4        721      $1.46            undated
 a

1 more; --limit shows them
month     $530.60 for 730 hours, of which
            $313.75  compute              2 x l4-1 spot at $0.2149 an hour
             $20.00  boot disk            100 GiB for each replica
            $171.60  SkyServe controller  its machine and 256 GiB of disk
             $25.25  egress               731.1M output tokens, streamed in 309 bytes each, without a pause
speed     57.5 ms a token, 139 tokens/s at 8 requests (modelled: the best that the card's bandwidth allows)
marks     off_market: more than 10x away from the GPU's on-demand median over clouds
          undated: it is not known when the price was true
          1 cheaper by a suspect price and so not chosen: `llmbudget prices check` says why, --allow-suspect chooses all the same
prices    table of 2026-11-23; as of: gcp 2026-01-01; undated: elsewhere
sources   test\
""")
