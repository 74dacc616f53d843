"""Plans as tables: the wording and layout of `plan`. Returns renderables, prints nothing."""

from collections.abc import Iterator, Set

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from skyserve_llm.types import Candidate, ModelSummary, Plan, Rejection, Workload
from skyserve_llm.units import count, gib, usd, usd_per_hour

NEAREST_MISSES = 5


def plan_report(plan: Plan, total: int) -> Iterator[Table | Text]:
    """The model and its memory, the candidates, and what the month is made of."""
    yield model_lines(plan.model, plan.workload)
    choice = plan.choice
    if choice is None:
        yield from nearest_misses(plan.rejected)
        return
    yield _memory(choice)
    yield candidates_table(plan)
    if total > len(plan.candidates):
        yield Text(f"{total - len(plan.candidates)} more; --limit shows them", style="dim")
    yield from _smaller(plan)
    yield _month(choice, plan)
    yield _ages(plan)


def _smaller(plan: Plan) -> Iterator[Text]:
    """What is shown with other weights than the checkpoint's, and how to have it."""
    shown = {one.altered: one for one in plan.candidates if one.altered}
    for altered, one in shown.items():
        ask = f"`llmbudget plan {one.repository}`" if one.repository else "--quantization fp8"
        yield Text(f"weights   {one.quantization}: {altered}; {ask} asks for it")


def nearest_misses(rejected: tuple[Rejection, ...]) -> Iterator[Table | Text]:
    if not rejected:
        return
    table = plain_table("GPUS", "WHY IT CANNOT SERVE THE MODEL", title="nearest misses")
    for miss in rejected[:NEAREST_MISSES]:
        table.add_row(f"{miss.gpu}:{miss.gpu_count}", miss.reason)
    yield table


def candidates_table(plan: Plan) -> Table:
    table = plain_table(
        "INFRA", "INSTANCE", "GPUS", "WEIGHTS", "SPOT", "$/hr", "$/month", "KV TOKENS", "REQUESTS",
        "TOKENS/S", "$/1M OUT", "CHOSEN", right={5, 6, 7, 8, 9, 10},
    )  # fmt: skip
    for index, candidate in enumerate(plan.candidates):
        speed = candidate.throughput.output_tokens_per_s
        million = candidate.usd_per_million_output_tokens
        table.add_row(
            infra(candidate),
            candidate.instance_type,
            f"{candidate.gpu}:{candidate.gpu_count}",
            candidate.quantization if candidate.altered else "",
            "spot" if candidate.spot else "",
            usd_per_hour(candidate.price_per_hour),
            usd(candidate.month.total),
            count(candidate.kv_cache_tokens),
            f"{candidate.max_concurrency:,.1f}",
            "unknown" if speed is None else count(speed),
            "unknown" if million is None else usd(million),
            "✔" if index == plan.chosen else "",
            style="bold" if index == plan.chosen else None,
        )
    return table


def infra(candidate: Candidate) -> str:
    """``gcp/us-central1-a``; a zone's id that does not name its region follows the region."""
    zone, region = candidate.zone or "", candidate.region
    place = zone if zone.startswith(region) else f"{region}/{zone}"
    return f"{candidate.cloud}/{place}".rstrip("/")


def model_lines(model: ModelSummary, load: Workload) -> Text:
    """What is served, by what, and for which load."""
    size = f"{count(model.parameters)} parameters"
    if model.active_parameters != model.parameters:
        size += f" ({count(model.active_parameters)} active)"
    stored = model.quantization or model.dtype
    return Text.assemble(
        (model.id, "bold"), f"  {model.architecture}  {size}  {stored}\n",
        f"engine    {model.engine or 'none'}: {model.engine_reason}\n",
        f"workload  {load.concurrency} requests at once of {load.input_tokens} tokens in and "
        f"{load.output_tokens} out, context {load.max_model_len:,}, "
        f"{load.replicas} replica{'s' if load.replicas > 1 else ''}",
    )  # fmt: skip


def _memory(choice: Candidate) -> Text:
    memory = choice.memory
    where = f"{choice.gpu}" if choice.gpu_count == 1 else f"each of {choice.gpu_count} {choice.gpu}"
    return Text(
        f"memory    on {where}: {gib(memory.weights_bytes)} weights + "
        f"{gib(memory.activation_bytes)} activations + {gib(memory.overhead_bytes)} overhead + "
        f"{gib(memory.kv_cache_bytes)} KV cache = {gib(memory.per_gpu_capacity_bytes)} usable "
        f"({memory.kv_cache_bytes_per_token:,} bytes a token)\n"
    )


def _month(choice: Candidate, plan: Plan) -> Text:
    month = choice.month
    parts = [f"{usd(month.compute)} compute"]
    unknown = []
    for name, amount in (
        ("disk", month.disk),
        ("SkyServe controller", month.controller),
        ("egress", month.egress),
    ):
        if amount is None:
            unknown.append(name)
        else:
            parts.append(f"{usd(amount)} {name}")
    line = f"month     {usd(month.total)} = {' + '.join(parts)}"
    if unknown:
        line += f"; not counted, unknown: {', '.join(unknown)}"
    speed = choice.throughput
    if speed.tpot_ms is not None and speed.output_tokens_per_s is not None:
        line += (
            f"\nspeed     {speed.tpot_ms:.1f} ms a token, {speed.output_tokens_per_s:,.0f} tokens/s"
            f" at {plan.workload.concurrency} requests ({speed.basis}: the best that the card's"
            " bandwidth allows)"
        )
    return Text(line)


def _ages(plan: Plan) -> Text:
    shown = {candidate.cloud for candidate in plan.candidates}
    ages = {cloud: day for cloud, day in plan.prices.as_of.items() if cloud in shown}
    dated = sorted(f"{cloud} {day}" for cloud, day in ages.items() if day)
    undated = sorted(cloud for cloud, day in ages.items() if not day)
    line = f"prices    table of {plan.prices.snapshot}"
    if dated:
        line += f"; as of: {', '.join(dated)}"
    if undated:
        line += f"; undated: {', '.join(undated)}"
    return Text(line, style="dim")


def plain_table(*columns: str, right: Set[int] = frozenset(), title: str | None = None) -> Table:
    """A table with a rule under its head and nothing else; columns in ``right`` align right."""
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number in right else "left", overflow="fold")
    return table
