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
from skyserve_llm.types import Candidate, MonthlyBill, Offer, Rate, Workload


def rank(
    offers: Sequence[Offer],
    placements: Mapping[tuple[str, int], Sequence[Placement]],
    rates: Mapping[str, Rate],
    workload: Workload,
    *,
    consolidated: bool = False,
) -> tuple[Candidate, ...]:
    """Price every offer whose GPUs hold what is served and sort by the whole monthly bill.

    Equal bills go to the checkpoint as it is, then to the one with more room for KV cache, then
    to the lower price (bills are in whole cents), then by name, so that the order never depends
    on the table's. Suspect prices stand where they fall: see ``choose``.
    """
    usages = {placement: _usage(placement) for kind in placements.values() for placement in kind}
    tariffs = {
        cloud: tariff(cloud, rates, consolidated=consolidated)
        for cloud in {offer.cloud for offer in offers}
    }
    priced: list[tuple[MonthlyBill, Offer, Placement]] = []
    for offer in offers:
        terms = tariffs[offer.cloud]
        for placement in placements.get((offer.gpu, offer.gpu_count), ()):
            used = usages[placement]
            month = monthly_bill(offer.price_per_hour, workload.replicas, used, terms)
            priced.append((month, offer, placement))
    priced.sort(key=lambda item: _order(*item))
    candidates = []
    for number, (month, offer, placement) in enumerate(priced, start=1):
        million = usd_per_million_output_tokens(month, usages[placement], workload.replicas)
        candidates.append(_candidate(number, month, offer, placement, million))
    return tuple(candidates)


def choose(candidates: Sequence[Candidate], *, allow_suspect: bool = False) -> int | None:
    """The index of the cheapest month that serves the checkpoint as it is at a price to trust.

    Something smaller may be cheaper and is shown, but never takes a checkpoint's place unasked:
    it is chosen only where nothing holds the checkpoint itself. Among those left, a suspect price
    is chosen only where no other is, or all are allowed. None of none.
    """
    if not candidates:
        return None
    unaltered = [index for index, one in enumerate(candidates) if one.altered is None]
    served = unaltered or range(len(candidates))
    trusted = (index for index in served if allow_suspect or not candidates[index].suspect)
    return next(trusted, served[0])


def _usage(placement: Placement) -> Usage:
    disk_gib = disk_size_gib(_checkpoint_bytes(placement))
    model = placement.served.repository or placement.served.model.id
    return usage(disk_gib, placement.throughput.output_tokens_per_s, model)


def _checkpoint_bytes(placement: Placement) -> int:
    """What is downloaded: the loaded weights, or 16 bits of what is quantized on the way in."""
    loaded = placement.memory.weights_bytes * placement.gpu_count
    served = placement.served
    if served.altered is None or served.repository is not None:
        return loaded
    return max(loaded, served.model.parameters.total * 2)


def _order(
    month: MonthlyBill, offer: Offer, placement: Placement
) -> tuple[Decimal, bool, int, Decimal, str]:
    place = f"{offer.cloud}/{offer.region}/{offer.zone}/{offer.instance_type}/{offer.spot}"
    altered = placement.served.altered
    return (
        month.total,
        altered is not None,
        -placement.kv_cache_tokens,
        offer.price_per_hour,
        f"{place}/{altered}",
    )


def _candidate(
    number: int,
    month: MonthlyBill,
    offer: Offer,
    placement: Placement,
    usd_per_million: Decimal | None,
) -> Candidate:
    served = placement.served
    quantization = served.model.quantization
    return Candidate(
        rank=number,
        cloud=offer.cloud,
        region=offer.region,
        zone=offer.zone,
        instance_type=offer.instance_type,
        gpu=offer.gpu,
        accelerator=offer.accelerator,
        gpu_count=offer.gpu_count,
        tensor_parallel_size=placement.tensor_parallel_size,
        quantization=quantization.method if quantization else None,
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
        pipeline_parallel_size=placement.gpu_count // placement.tensor_parallel_size,
        repository=served.repository,
        altered=served.altered,
    )
