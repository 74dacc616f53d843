"""Offers and placements → candidates, from the cheapest month to the dearest. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from skyserve_llm.planner.cost import (
    Usage,
    disk_size_gib,
    monthly_bill,
    tariff,
    usage,
    usd_per_million_output_tokens,
)
from skyserve_llm.planner.placement import Placement
from skyserve_llm.types import Candidate, ModelSpec, MonthlyBill, Offer, Rate, Workload


def rank(
    offers: Sequence[Offer],
    placements: Mapping[tuple[str, int], Placement],
    model: ModelSpec,
    rates: Mapping[str, Rate],
    workload: Workload,
    *,
    consolidated: bool = False,
) -> tuple[Candidate, ...]:
    """Price every offer whose GPUs hold the model and sort by the whole monthly bill.

    Equal bills go to the one with more room for KV cache, then to the lower price (bills are in
    whole cents), then by name, so that the order never depends on the table's. Suspect prices
    stand where they fall: see ``choose``.
    """
    usages = {kind: _usage(placement, model) for kind, placement in placements.items()}
    tariffs = {
        cloud: tariff(cloud, rates, consolidated=consolidated)
        for cloud in {offer.cloud for offer in offers}
    }
    priced: list[tuple[MonthlyBill, Offer, Placement]] = []
    for offer in offers:
        placement = placements.get(_kind(offer))
        if placement is not None:
            used, terms = usages[_kind(offer)], tariffs[offer.cloud]
            month = monthly_bill(offer.price_per_hour, workload.replicas, used, terms)
            priced.append((month, offer, placement))
    priced.sort(key=lambda item: _order(*item))
    candidates = []
    for number, (month, offer, placement) in enumerate(priced, start=1):
        used = usages[_kind(offer)]
        million = usd_per_million_output_tokens(month, used, workload.replicas)
        candidates.append(_candidate(number, month, offer, placement, model, million))
    return tuple(candidates)


def choose(candidates: Sequence[Candidate], *, allow_suspect: bool = False) -> int | None:
    """The index of the cheapest month at a price to trust.

    Where no price is to be trusted, or all are allowed, the cheapest of all. None of none.
    """
    if not candidates:
        return None
    if allow_suspect:
        return 0
    trusted = (index for index, candidate in enumerate(candidates) if not candidate.suspect)
    return next(trusted, 0)


def _kind(offer: Offer) -> tuple[str, int]:
    return offer.gpu, offer.gpu_count


def _usage(placement: Placement, model: ModelSpec) -> Usage:
    disk_gib = disk_size_gib(placement.memory.weights_bytes * placement.gpu_count)
    return usage(disk_gib, placement.throughput.output_tokens_per_s, model.id)


def _order(
    month: MonthlyBill, offer: Offer, placement: Placement
) -> tuple[Decimal, int, Decimal, str]:
    place = f"{offer.cloud}/{offer.region}/{offer.zone}/{offer.instance_type}/{offer.spot}"
    return month.total, -placement.kv_cache_tokens, offer.price_per_hour, place


def _candidate(
    number: int,
    month: MonthlyBill,
    offer: Offer,
    placement: Placement,
    model: ModelSpec,
    usd_per_million: Decimal | None,
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
        price_marks=offer.marks,
        memory=placement.memory,
        kv_cache_tokens=placement.kv_cache_tokens,
        max_concurrency=placement.max_concurrency,
        throughput=placement.throughput,
        month=month,
        usd_per_million_output_tokens=usd_per_million,
    )
