"""Plans as tables: the wording and layout of `plan`. Returns renderables, prints nothing."""

from collections.abc import Iterator, Set

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from skyserve_llm.planner.cost import CONTROLLER_DISK_GIB, disk_size_gib, stream_bytes_per_token
from skyserve_llm.types import MARKS, Candidate, ModelSummary, Plan, Rejection, Workload
from skyserve_llm.units import HOURS_PER_MONTH, count, gib, usd, usd_per_hour

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
    yield from _speed(choice, plan)
    yield from _doubts(plan, choice)
    yield _prices(plan)


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
        "TOKENS/S", "$/1M OUT", "CHOSEN", "MARK", right={5, 6, 7, 8, 9, 10},
    )  # fmt: skip
    for index, candidate in enumerate(plan.candidates):
        speed = candidate.throughput.output_tokens_per_s
        million = candidate.usd_per_million_output_tokens
        table.add_row(
            infra(candidate.cloud, candidate.region, candidate.zone),
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
            next(iter(candidate.price_marks), ""),  # the gravest; all are explained below
            style="bold" if index == plan.chosen else None,
        )
    return table


def infra(cloud: str, region: str, zone: str | None) -> str:
    """``gcp/us-central1-a``; a zone's id that does not name its region follows the region."""
    zone = zone or ""
    place = zone if zone.startswith(region) else f"{region}/{zone}"
    return f"{cloud}/{place}".rstrip("/")


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
    """The total, then what it is made of."""
    month, replicas = choice.month, plan.workload.replicas
    disk = disk_size_gib(choice.memory.weights_bytes * choice.gpu_count)
    spot = " spot" if choice.spot else ""
    controller = f"its machine and {CONTROLLER_DISK_GIB} GiB of disk"
    lines = [
        (month.compute, "compute", f"{replicas} x {choice.instance_type}{spot} at "
                                   f"{usd_per_hour(choice.price_per_hour)} an hour"),
        (month.disk, "boot disk", f"{disk} GiB for each replica"),
        (month.controller, "SkyServe controller",
         controller if month.controller else "consolidated, no machine of its own"),
        (month.egress, "egress", _traffic(choice, plan)),
    ]  # fmt: skip
    text = f"month     {usd(month.total)} for {HOURS_PER_MONTH} hours, of which"
    for amount, name, what in lines:
        text += f"\n{'unknown' if amount is None else usd(amount):>19}  {name:<21}{what}"
    if None in (month.disk, month.controller, month.egress):
        text += "\n          what is unknown is not in the total"
    return Text(text)


def _traffic(choice: Candidate, plan: Plan) -> str:
    speed = choice.throughput.output_tokens_per_s
    if speed is None:
        return "as many output tokens as the card writes, which is unknown"
    tokens = speed * plan.workload.replicas * HOURS_PER_MONTH * 3600
    size = stream_bytes_per_token(plan.model.id)
    return f"{count(tokens)} output tokens, streamed in {size} bytes each, without a pause"


def _speed(choice: Candidate, plan: Plan) -> Iterator[Text]:
    speed = choice.throughput
    if speed.tpot_ms is not None and speed.output_tokens_per_s is not None:
        yield Text(
            f"speed     {speed.tpot_ms:.1f} ms a token, {speed.output_tokens_per_s:,.0f} tokens/s"
            f" at {plan.workload.concurrency} requests ({speed.basis}: the best that the card's"
            " bandwidth allows)"
        )


def _doubts(plan: Plan, choice: Candidate) -> Iterator[Text]:
    """What the marks mean, and what they did to the choice."""
    shown = {mark for candidate in plan.candidates for mark in candidate.price_marks}
    lines = [f"{mark}: {meaning}" for mark, meaning in MARKS.items() if mark in shown]
    if not lines:
        return
    cheaper = sum(one.suspect for one in plan.candidates[: plan.chosen])
    if choice.suspect:
        trusted = any(not one.suspect for one in plan.candidates)
        why = "as --allow-suspect asks" if trusted else "no other on offer holds the model"
        lines.append(f"the chosen price is suspect: {why}")
    elif cheaper:
        lines.append(
            f"{cheaper} cheaper by a suspect price and so not chosen: `llmbudget prices check` "
            "says why, --allow-suspect chooses all the same"
        )
    yield Text("marks     " + "\n          ".join(lines))


def _prices(plan: Plan) -> Text:
    """Which table the prices are of, how old they are, and whose."""
    clouds, sources = set(), set()
    for candidate in plan.candidates:
        clouds.add(candidate.cloud)
        sources.add(candidate.price_source)
    ages = {cloud: day for cloud, day in plan.prices.as_of.items() if cloud in clouds}
    dated = sorted(f"{cloud} {day}" for cloud, day in ages.items() if day)
    undated = sorted(cloud for cloud, day in ages.items() if not day)
    line = f"prices    table of {plan.prices.snapshot}"
    if dated:
        line += f"; as of: {', '.join(dated)}"
    if undated:
        line += f"; undated: {', '.join(undated)}"
    if plan.prices.excluded:
        line += f"; left out by config.toml: {', '.join(plan.prices.excluded)}"
    line += f"\nsources   {', '.join(sorted(sources))}"
    return Text(line, style="dim")


def plain_table(*columns: str, right: Set[int] = frozenset(), title: str | None = None) -> Table:
    """A table with a rule under its head and nothing else; columns in ``right`` align right."""
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number in right else "left", overflow="fold")
    return table
