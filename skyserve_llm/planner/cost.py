"""What a service costs in a month, and for a million output tokens. ``Decimal`` throughout.

Compute is not the whole bill: SkyServe runs a controller for as long as the service stands and
every replica has a boot disk. Pure arithmetic.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import overload

from skyserve_llm.types import MonthlyBill, Offer, Rate, ThroughputEstimate, Workload
from skyserve_llm.units import CENT, GIB, HOURS_PER_MONTH

IMAGE_AND_ENVIRONMENT_GIB = 80
"""What a boot disk holds beside the weights: a deep-learning image (GCP's is a disk of 50 GB)
and a virtual environment with vLLM's CUDA build, its cache and compiled kernels (10 to 15 GB),
with room to breathe."""

TEN_THOUSANDTH = Decimal("0.0001")


def disk_size_gib(weights_bytes_total: int) -> int:
    """Boot disk of one replica in GiB: image, environment and the checkpoint with a margin of
    a tenth, in steps of 10. ``weights_bytes_total`` is over all GPUs."""
    needed = IMAGE_AND_ENVIRONMENT_GIB + weights_bytes_total * 1.1 / GIB
    return int(-(-needed // 10) * 10)


def monthly_bill(
    offer: Offer, rates: Mapping[str, Rate], workload: Workload, disk_gib: int
) -> MonthlyBill:
    """The bill for 730 hours of ``workload.replicas`` replicas at this offer's price."""
    compute = offer.price_per_hour * workload.replicas * HOURS_PER_MONTH
    rate = rates.get(offer.cloud)
    disk = None
    if rate is not None and rate.disk_gib_month is not None:
        disk = rate.disk_gib_month * disk_gib * workload.replicas
    controller = controller_month(offer.cloud, rates)
    known = [part for part in (compute, disk, controller) if part is not None]
    return MonthlyBill(
        compute=_cents(compute),
        disk=_cents(disk),
        controller=_cents(controller),
        egress=None,
        total=_cents(sum(known, Decimal(0))),
    )


def rescaled(month: MonthlyBill, replicas: int, *, of: int) -> MonthlyBill:
    """The bill for another number of replicas: all but the controller grows with it."""
    compute = month.compute * replicas / of
    disk = None if month.disk is None else month.disk * replicas / of
    egress = None if month.egress is None else month.egress * replicas / of
    known = [part for part in (compute, disk, month.controller, egress) if part is not None]
    return MonthlyBill(
        compute=_cents(compute),
        disk=_cents(disk),
        controller=month.controller,
        egress=_cents(egress),
        total=_cents(sum(known, Decimal(0))),
    )


def controller_month(cloud: str, rates: Mapping[str, Rate]) -> Decimal | None:
    """SkyServe's controller for a month, in the replicas' cloud where that is priced, else in
    the cheapest that is (a GPU-only cloud cannot host it)."""
    rate = rates.get(cloud)
    hourly = rate.controller_hour if rate else None
    if hourly is None:
        known = [other.controller_hour for other in rates.values() if other.controller_hour]
        hourly = min(known, default=None)
    return None if hourly is None else hourly * HOURS_PER_MONTH


def usd_per_million_output_tokens(
    month: MonthlyBill, throughput: ThroughputEstimate, workload: Workload
) -> Decimal | None:
    """The whole bill over what all replicas write in a month without a pause, in USD."""
    if not throughput.output_tokens_per_s:
        return None
    seconds = HOURS_PER_MONTH * 3600
    tokens = Decimal(throughput.output_tokens_per_s) * workload.replicas * seconds
    return (month.total / tokens * 1_000_000).quantize(TEN_THOUSANDTH)


@overload
def _cents(amount: Decimal) -> Decimal: ...
@overload
def _cents(amount: None) -> None: ...
def _cents(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(CENT)
