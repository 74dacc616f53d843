"""Offers and placements → candidates, from the cheapest month to the dearest. Pure."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from skyserve_llm.planner.cost import disk_size_gib, monthly_bill, usd_per_million_output_tokens
from skyserve_llm.planner.placement import Placement
from skyserve_llm.types import Candidate, ModelSpec, MonthlyBill, Offer, Rate, Workload


def rank(
    offers: Iterable[Offer],
    placements: Mapping[tuple[str, int], Placement],
    model: ModelSpec,
    rates: Mapping[str, Rate],
    workload: Workload,
) -> tuple[Candidate, ...]:
    """Price every offer whose GPUs hold the model and sort by the whole monthly bill.

    Equal bills go to the one with more room for KV cache, then by name, so that the order
    never depends on the table's.
    """
    priced: list[tuple[MonthlyBill, Offer, Placement]] = []
    for offer in offers:
        placement = placements.get((offer.gpu, offer.gpu_count))
        if placement is not None:
            disk = disk_size_gib(placement.memory.weights_bytes * placement.gpu_count)
            priced.append((monthly_bill(offer, rates, workload, disk), offer, placement))
    priced.sort(key=lambda item: _order(*item))
    return tuple(
        _candidate(number, month, offer, placement, model, workload)
        for number, (month, offer, placement) in enumerate(priced, start=1)
    )


def _order(month: MonthlyBill, offer: Offer, placement: Placement) -> tuple[Decimal, int, str]:
    place = f"{offer.cloud}/{offer.region}/{offer.zone}/{offer.instance_type}/{offer.spot}"
    return month.total, -placement.kv_cache_tokens, place


def _candidate(
    number: int,
    month: MonthlyBill,
    offer: Offer,
    placement: Placement,
    model: ModelSpec,
    workload: Workload,
) -> Candidate:
    return Candidate(
        rank=number,
        cloud=offer.cloud,
        region=offer.region,
        zone=offer.zone,
        instance_type=offer.instance_type,
        gpu=offer.gpu,
        accelerator=offer.accelerator,
        gpu_count=offer.gpu_count,
        tensor_parallel_size=placement.gpu_count,
        quantization=model.quantization.method if model.quantization else None,
        spot=offer.spot,
        price_per_hour=offer.price_per_hour,
        price_as_of=offer.as_of,
        price_source=offer.source,
        memory=placement.memory,
        kv_cache_tokens=placement.kv_cache_tokens,
        max_concurrency=placement.max_concurrency,
        throughput=placement.throughput,
        month=month,
        usd_per_million_output_tokens=usd_per_million_output_tokens(
            month, placement.throughput, workload
        ),
    )
