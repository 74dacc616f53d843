"""Offers and placements → candidates, from the cheapest month to the dearest. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from skyserve_llm.planner.cost import disk_size_gib, monthly_bill, usd_per_million_output_tokens
from skyserve_llm.planner.placement import Placement
from skyserve_llm.types import Candidate, MonthlyBill, Offer, Rate, Workload


def rank(
    offers: Iterable[Offer],
    placements: Mapping[tuple[str, int], Sequence[Placement]],
    rates: Mapping[str, Rate],
    workload: Workload,
) -> tuple[Candidate, ...]:
    """Price every offer whose GPUs hold what is served and sort by the whole monthly bill.

    Equal bills go to the checkpoint as it is, then to the lower price, then to more room for KV
    cache, then by name, so that the order never depends on the table's.
    """
    priced: list[tuple[MonthlyBill, Offer, Placement]] = []
    for offer in offers:
        for placement in placements.get((offer.gpu, offer.gpu_count), ()):
            disk = disk_size_gib(_checkpoint_bytes(placement))
            priced.append((monthly_bill(offer, rates, workload, disk), offer, placement))
    priced.sort(key=lambda item: _order(*item))
    return tuple(
        _candidate(number, month, offer, placement, workload)
        for number, (month, offer, placement) in enumerate(priced, start=1)
    )


def choose(candidates: Sequence[Candidate]) -> int | None:
    """The index of the cheapest month that serves the checkpoint as it is.

    Something smaller may be cheaper and is shown, but never takes a checkpoint's place unasked:
    it is chosen only where nothing holds the checkpoint itself. None of none.
    """
    if not candidates:
        return None
    unaltered = (index for index, one in enumerate(candidates) if one.altered is None)
    return next(unaltered, 0)


def _checkpoint_bytes(placement: Placement) -> int:
    """What is downloaded: the loaded weights, or 16 bits of what is quantized on the way in."""
    loaded = placement.memory.weights_bytes * placement.gpu_count
    served = placement.served
    if served.altered is None or served.repository is not None:
        return loaded
    return max(loaded, served.model.parameters.total * 2)


def _order(
    month: MonthlyBill, offer: Offer, placement: Placement
) -> tuple[Decimal, bool, Decimal, int, str]:
    place = f"{offer.cloud}/{offer.region}/{offer.zone}/{offer.instance_type}/{offer.spot}"
    altered = placement.served.altered
    return (
        month.total,
        altered is not None,
        offer.price_per_hour,
        -placement.kv_cache_tokens,
        f"{place}/{altered}",
    )


def _candidate(
    number: int,
    month: MonthlyBill,
    offer: Offer,
    placement: Placement,
    workload: Workload,
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
        memory=placement.memory,
        kv_cache_tokens=placement.kv_cache_tokens,
        max_concurrency=placement.max_concurrency,
        throughput=placement.throughput,
        month=month,
        usd_per_million_output_tokens=usd_per_million_output_tokens(
            month, placement.throughput, workload
        ),
        pipeline_parallel_size=placement.gpu_count // placement.tensor_parallel_size,
        repository=served.repository,
        altered=served.altered,
    )
