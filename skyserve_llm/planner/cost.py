"""What a service costs in a month, and for a million output tokens. ``Decimal`` throughout.

Compute is not the whole bill: SkyServe runs a controller for as long as the service stands, every
replica has a boot disk, and clouds charge for what leaves them. Pure arithmetic.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple, overload

from skyserve_llm.types import MonthlyBill, Offer, Rate, ThroughputEstimate, Workload
from skyserve_llm.units import CENT, GIB, HOURS_PER_MONTH

IMAGE_AND_ENVIRONMENT_GIB = 60
"""What a boot disk holds beside the weights: a cloud's deep-learning image (35 to 45 GiB) and
a virtual environment with vLLM's CUDA build (about 10 GiB)."""

CONTROLLER_DISK_GIB = 256
"""SkyPilot's default disk, which the controller is given (``DEFAULT_DISK_SIZE_GB`` in
``sky/resources.py`` 0.14.1; ``CONTROLLER_RESOURCES`` in ``sky/serve/constants.py`` asks for 4 vCPU
and 8 GiB and leaves the disk alone)."""

STREAM_BYTES = 228 + 6 + 52
"""A streamed token without the model's name: 228 bytes of vLLM 0.32.0's chat chunk with a token of
4 letters (``ChatCompletionStreamResponse`` dumped with ``exclude_unset`` under a request id of 32
letters, which our gate gives; the replica's own chunk is 17 shorter), the HTTP/1.1 chunk's frame of
6, and headers of 52 (IPv4 and TCP with timestamps: each token leaves in a packet of its own)."""

TEN_THOUSANDTH = Decimal("0.0001")


def disk_size_gib(weights_bytes_total: int) -> int:
    """Boot disk of one replica in GiB: image, environment and the checkpoint with a margin of
    a tenth, in steps of 10. ``weights_bytes_total`` is over all GPUs."""
    needed = IMAGE_AND_ENVIRONMENT_GIB + weights_bytes_total * 1.1 / GIB
    return int(-(-needed // 10) * 10)


class Usage(NamedTuple):
    """What one replica uses beside its machine. ``output_tokens_per_s`` None is unknown."""

    disk_gib: int
    output_tokens_per_s: float | None
    stream_bytes_per_token: int


def stream_bytes_per_token(model_id: str) -> int:
    """Bytes on the wire for one streamed token: its chunk names the model each time."""
    return STREAM_BYTES + len(model_id.encode())


def monthly_bill(
    offer: Offer,
    rates: Mapping[str, Rate],
    workload: Workload,
    usage: Usage,
    *,
    consolidated: bool = False,
) -> MonthlyBill:
    """The bill for 730 hours of ``workload.replicas`` replicas at this offer's price.

    ``consolidated``: SkyPilot's API server does the controller's work (``serve.controller.
    consolidation_mode`` of its config), so that no machine is rented for it.
    """
    replicas = workload.replicas
    rate = rates.get(offer.cloud, _UNKNOWN)
    host = None if consolidated else _controller_host(offer.cloud, rates)
    compute = offer.price_per_hour * replicas * HOURS_PER_MONTH
    disk = _times(rate.disk_gib_month, usage.disk_gib * replicas)
    controller = Decimal(0) if consolidated else _controller_month(host)
    egress = _egress_month(rate, host, replicas, usage)
    return _bill(compute, disk, controller, egress)


def rescaled(month: MonthlyBill, replicas: int, *, of: int) -> MonthlyBill:
    """The bill for another number of replicas: all but the controller grows with it."""
    grown = [None if part is None else part * replicas / of for part in (month.disk, month.egress)]
    return _bill(month.compute * replicas / of, grown[0], month.controller, grown[1])


def without_controller(month: MonthlyBill) -> MonthlyBill:
    """The bill where nothing is rented for the controller: on this machine, or consolidated."""
    if not month.controller:
        return month
    return replace(month, controller=Decimal(0), total=month.total - month.controller)


def output_tokens_month(output_tokens_per_s: float, replicas: int) -> Decimal:
    """What all replicas write in a month without a pause, at the workload's concurrency."""
    return Decimal(output_tokens_per_s) * replicas * HOURS_PER_MONTH * 3600


def _controller_host(cloud: str, rates: Mapping[str, Rate]) -> Rate | None:
    """Where SkyServe's controller stands: in the replicas' cloud where that can host one, else
    where it costs least (a GPU-only cloud has no machine for it)."""
    own = rates.get(cloud)
    if own is not None and own.controller_hour is not None:
        return own
    hosts = [(_controller_month(rate), cloud) for cloud, rate in rates.items()]
    priced = [(month, cloud) for month, cloud in hosts if month is not None]
    return rates[min(priced)[1]] if priced else None


def _controller_month(host: Rate | None) -> Decimal | None:
    """The controller's machine, and its disk where that has a rate."""
    if host is None or host.controller_hour is None:
        return None
    disk = _times(host.disk_gib_month, CONTROLLER_DISK_GIB) or Decimal(0)
    return host.controller_hour * HOURS_PER_MONTH + disk


def _egress_month(rate: Rate, host: Rate | None, replicas: int, usage: Usage) -> Decimal | None:
    """Tokens stream from a replica through the load balancer on the controller to a client.

    Within one cloud only the way out is billed at the internet rate (the hop before it, within a
    region, costs a tenth of that at most and is not counted); from another cloud both are.
    """
    per_gib = rate.egress_gib
    if host is not None and host.cloud != rate.cloud and per_gib is not None:
        per_gib = None if host.egress_gib is None else per_gib + host.egress_gib
    if per_gib is None or usage.output_tokens_per_s is None:
        return None
    tokens = output_tokens_month(usage.output_tokens_per_s, replicas)
    return tokens * usage.stream_bytes_per_token / GIB * per_gib


def usd_per_million_output_tokens(
    month: MonthlyBill, throughput: ThroughputEstimate, workload: Workload
) -> Decimal | None:
    """The whole bill over what all replicas write in a month without a pause, in USD."""
    if not throughput.output_tokens_per_s:
        return None
    tokens = output_tokens_month(throughput.output_tokens_per_s, workload.replicas)
    return (month.total / tokens * 1_000_000).quantize(TEN_THOUSANDTH)


def _bill(
    compute: Decimal, disk: Decimal | None, controller: Decimal | None, egress: Decimal | None
) -> MonthlyBill:
    """Each line in whole cents, and the total as the sum of the lines."""
    cents = _cents(compute), _cents(disk), _cents(controller), _cents(egress)
    total = sum((part for part in cents if part is not None), Decimal(0))
    return MonthlyBill(
        compute=cents[0], disk=cents[1], controller=cents[2], egress=cents[3], total=total
    )


_UNKNOWN = Rate(
    cloud="", disk_gib_month=None, egress_gib=None, controller_hour=None, as_of=None, source=""
)


def _times(rate: Decimal | None, quantity: int) -> Decimal | None:
    return None if rate is None else rate * quantity


@overload
def _cents(amount: Decimal) -> Decimal: ...
@overload
def _cents(amount: None) -> None: ...
def _cents(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(CENT)
