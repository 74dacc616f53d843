"""The options that more than one command takes, each with one owner: this module."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import click

from skyserve_llm.cli.planning import ModelRequest
from skyserve_llm.errors import InputError
from skyserve_llm.planner.alternatives import METHODS
from skyserve_llm.planner.support import GPU_COUNTS
from skyserve_llm.types import EngineArgs, GpuRequest, Market, Workload

F = TypeVar("F", bound=Callable[..., Any])


class MoneyType(click.ParamType):
    """A positive decimal number of USD, with or without its sign: ``0.5`` or ``$0.50``."""

    name = "usd"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        try:
            amount = Decimal(str(value).strip().removeprefix("$"))
        except InvalidOperation:
            self.fail(f"{value!r} is not an amount of USD", param, ctx)
        if not amount.is_finite() or amount <= 0:
            self.fail(f"{value!r} is not a positive amount", param, ctx)
        return amount


class GpusType(click.ParamType):
    """``L4`` or ``L4:1``, as SkyPilot writes accelerators."""

    name = "gpu[:count]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> GpuRequest:
        name, colon, count = str(value).partition(":")
        if colon and (not count.isascii() or not count.isdigit() or int(count) < 1):
            self.fail(f"{value!r}: the count after ':' is a whole number from 1", param, ctx)
        if not name:
            self.fail(f"{value!r} names no GPU", param, ctx)
        return GpuRequest(name=name, count=int(count) if colon else None)


MONEY = MoneyType()
GPUS = GpusType()
POSITIVE = click.IntRange(min=1, max=1 << 31)

PRECEDENCE = (
    "Prices: --prices FILE alone; else the own prices of config.toml, row by row over the table "
    "last refreshed or, before any refresh, the shipped one. What the command line names wins over "
    "config.toml, and config.toml over pricing/."
)
"""The one line that says which of several prices, limits and rates holds."""

_MARKET = (
    click.option("--spot", "purchase", flag_value="spot", help="Spot prices only."),
    click.option("--on-demand", "purchase", flag_value="on-demand", help="On-demand only."),
    click.option("--any", "purchase", flag_value="any", default="any", help="Both [default]."),
    click.option("--cloud", "clouds", multiple=True, help="Only this cloud (repeatable)."),
    click.option("--region", "regions", multiple=True, help="Only this region (repeatable)."),
    click.option("--gpus", type=GPUS, multiple=True, help="Only this GPU: L4 or L4:1."),
    click.option("--prices", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
                 help="A price table, CSV, in place of all others."),
)  # fmt: skip

_PRICES = (
    *_MARKET,
    click.option("--max-price", type=MONEY, help="At most so many USD an hour for a replica."),
    click.option("--allow-suspect", is_flag=True, help="Choose a price even if it is suspect."),
    click.option("--replicas", type=POSITIVE, help="How many replicas the bill is for [1]."),
)  # fmt: skip

_MODEL = (
    click.option("--revision", help="Branch, tag or commit of a model on the Hub; also MODEL@…."),
    click.option("--refresh-model", is_flag=True,
                 help="Ask the Hub again, for a bundled model too."),
)  # fmt: skip

_WORKLOAD = (
    click.option("--concurrency", type=POSITIVE, default=8, show_default=True,
                 help="Requests that one replica holds at once."),
    click.option("--input-tokens", type=POSITIVE, default=512, show_default=True,
                 help="Prompt tokens of a request."),
    click.option("--output-tokens", type=POSITIVE, default=256, show_default=True,
                 help="Answer tokens of a request."),
    click.option("--max-model-len", type=POSITIVE, help="Context to serve [the model's own]."),
)  # fmt: skip

_ENGINE = (
    click.option("--tensor-parallel-size", type=POSITIVE, help="GPUs that share each layer."),
    click.option("--pipeline-parallel-size", type=POSITIVE, default=1, show_default=True,
                 help="Stages that the layers are divided over."),
    click.option("--gpu-memory-utilization", type=click.FloatRange(0.01, 1.0), default=0.92,
                 show_default=True, help="Share of a card's memory that vLLM may take."),
    click.option("--max-num-batched-tokens", type=POSITIVE, help="Tokens in one step [by card]."),
    click.option("--max-num-seqs", type=POSITIVE, help="Requests in one step [by card]."),
    click.option("--kv-cache-dtype", type=click.Choice(["auto", "fp8", "fp8_e4m3", "fp8_e5m2"]),
                 default="auto", show_default=True),
    click.option("--block-size", type=click.IntRange(min=1, max=1 << 16),
                 help="Tokens in a block of KV cache [16]."),
    click.option("--quantization", type=click.Choice(METHODS), default="auto", show_default=True,
                 help="auto: the checkpoint as it is, and what is smaller beside it; none: only "
                 "as it is; or a method."),
    click.option("--dtype", type=click.Choice(["auto", "bfloat16", "float16", "half"]),
                 default="auto", show_default=True, help="Dtype of weights and activations."),
    click.option("--enforce-eager", is_flag=True, help="No CUDA graphs."),
)  # fmt: skip


def planning_options(function: F) -> F:
    """Everything that shapes a plan: the market, the workload, the engine's own knobs."""
    return _with((*_PRICES, *_MODEL, *_WORKLOAD, *_ENGINE), function)


def fitting_options(function: F) -> F:
    """What shapes one placement: the workload and the engine's own knobs."""
    return _with((*_MODEL, *_WORKLOAD, *_ENGINE), function)


def market_options(function: F) -> F:
    """Which prices are looked at."""
    return _with(_MARKET, function)


def output_option(function: F) -> F:
    return _output("table", "json")(function)


def rows_output_option(function: F) -> F:
    """For what is rows of one kind, and so has a CSV."""
    return _output("table", "json", "csv")(function)


def _with(options: tuple[Callable[[F], F], ...], function: F) -> F:
    for option in reversed(options):
        function = option(function)
    return function


def _output(*formats: str) -> Callable[[F], F]:
    return click.option(
        "-o",
        "--output",
        "output_format",
        type=click.Choice(formats),
        default="table",
        show_default=True,
    )


def planning_arguments(values: dict[str, Any], *, every_place: bool = False) -> dict[str, Any]:
    """What ``planning.plan_model`` takes, out of the options' values."""
    return {
        "market": market(values, every_place=every_place),
        "workload": workload(values),
        "engine_args": engine_args(values),
        "prices_file": values["prices"],
        "allow_suspect": values["allow_suspect"],
    }


def model_request(name: str, values: dict[str, Any]) -> ModelRequest:
    return ModelRequest(name, values["revision"], values["refresh_model"])


def market(values: dict[str, Any], *, every_place: bool = False) -> Market:
    return Market(
        spot={"spot": True, "on-demand": False}.get(values["purchase"]),
        clouds=values["clouds"],
        regions=values["regions"],
        gpus=values["gpus"],
        max_price=values.get("max_price"),
        every_place=every_place,
    )


def workload(values: dict[str, Any]) -> Workload:
    return Workload(
        max_model_len=values["max_model_len"],
        concurrency=values["concurrency"],
        input_tokens=values["input_tokens"],
        output_tokens=values["output_tokens"],
        replicas=values.get("replicas") or 1,
    )


def engine_args(values: dict[str, Any]) -> EngineArgs:
    size = values["tensor_parallel_size"]
    if size is not None and size not in GPU_COUNTS:
        raise InputError(
            f"--tensor-parallel-size {size}: a group has 1, 2, 4 or 8 GPUs",
            hint="use one of 1, 2, 4, 8",
        )
    return EngineArgs(
        gpu_memory_utilization=values["gpu_memory_utilization"],
        tensor_parallel_size=size,
        pipeline_parallel_size=values["pipeline_parallel_size"],
        max_num_batched_tokens=values["max_num_batched_tokens"],
        max_num_seqs=values["max_num_seqs"],
        kv_cache_dtype=values["kv_cache_dtype"],
        block_size=values["block_size"],
        quantization=values["quantization"],
        enforce_eager=values["enforce_eager"],
        dtype={"auto": None, "half": "float16"}.get(values["dtype"], values["dtype"]),
    )
