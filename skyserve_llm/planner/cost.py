"""What a service costs in a month, and for a million output tokens. ``Decimal`` throughout.

Compute is not the whole bill: SkyServe runs a controller for as long as the service stands, every
replica has a boot disk, and clouds charge for what leaves them. Pure arithmetic.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple, overload

from skyserve_llm.types import MonthlyBill, Rate
from skyserve_llm.units import CENT, GIB, HOURS_PER_MONTH

IMAGE_AND_ENVIRONMENT_GIB = 80
"""What a boot disk holds beside the weights: a deep-learning image (GCP's is a disk of 50 GB)
and a virtual environment with vLLM's CUDA build, its cache and compiled kernels (10 to 15 GB),
with room to breathe."""

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
    """What one replica uses in a month beside its machine; None is unknown."""

    disk_gib: int
    output_tokens: Decimal | None
    egress_gib: Decimal | None


def usage(disk_gib: int, output_tokens_per_s: float | None, model_id: str) -> Usage:
    """A month without a pause, at the workload's concurrency."""
    if output_tokens_per_s is None:
        return Usage(disk_gib, None, None)
    tokens = Decimal(output_tokens_per_s) * HOURS_PER_MONTH * 3600
    return Usage(disk_gib, tokens, tokens * stream_bytes_per_token(model_id) / GIB)


def stream_bytes_per_token(model_id: str) -> int:
    """Bytes on the wire for one streamed token: its chunk names the model each time."""
    return STREAM_BYTES + len(model_id.encode())


class Tariff(NamedTuple):
    """What a service in one cloud is charged beside compute, USD; None is unknown.

    ``controller_month`` is zero where nothing is rented for it; ``egress_gib`` is for all the way
    to a client.
    """

    disk_gib_month: Decimal | None
    controller_month: Decimal | None
    egress_gib: Decimal | None


def tariff(cloud: str, rates: Mapping[str, Rate], *, consolidated: bool = False) -> Tariff:
    """The tariff of replicas in ``cloud``.

    ``consolidated``: SkyPilot's API server does the controller's work (``serve.controller.
    consolidation_mode`` of its config), so that no machine is rented for it. Else the controller
    stands in the replicas' cloud where that has a machine for it, or where it costs least.

    Tokens stream from a replica through the load balancer on the controller to a client. Within
    one cloud only the way out is billed at the internet rate (the hop before it, within a region,
    costs a tenth of that at most and is not counted); from another cloud both are.
    """
    rate = rates.get(cloud)
    disk, egress = (rate.disk_gib_month, rate.egress_gib) if rate else (None, None)
    if consolidated:
        return Tariff(disk, Decimal(0), egress)
    months = {name: month for name in rates if (month := _controller_month(rates[name]))}
    host = cloud if cloud in months else min(months, key=lambda name: months[name], default=None)
    if host is None:
        return Tariff(disk, None, egress)
    if host != cloud and egress is not None:
        onward = rates[host].egress_gib
        egress = None if onward is None else egress + onward
    return Tariff(disk, months[host], egress)


def _controller_month(host: Rate) -> Decimal | None:
    """The controller's machine, and its disk where that has a rate."""
    if host.controller_hour is None:
        return None
    disk = (host.disk_gib_month or 0) * CONTROLLER_DISK_GIB
    return host.controller_hour * HOURS_PER_MONTH + disk


def monthly_bill(
    price_per_hour: Decimal, replicas: int, usage: Usage, tariff: Tariff
) -> MonthlyBill:
    """The bill for 730 hours of ``replicas`` replicas, each at ``price_per_hour``."""
    return _bill(
        compute=price_per_hour * replicas * HOURS_PER_MONTH,
        disk=_product(tariff.disk_gib_month, usage.disk_gib, replicas),
        controller=tariff.controller_month,
        egress=_product(tariff.egress_gib, usage.egress_gib, replicas),
    )


def rescaled(month: MonthlyBill, replicas: int, *, of: int) -> MonthlyBill:
    """The bill for another number of replicas: all but the controller grows with it."""
    return _bill(
        compute=month.compute * replicas / of,
        disk=None if month.disk is None else month.disk * replicas / of,
        controller=month.controller,
        egress=None if month.egress is None else month.egress * replicas / of,
    )


def usd_per_million_output_tokens(
    month: MonthlyBill, usage: Usage, replicas: int
) -> Decimal | None:
    """The whole bill over what all replicas write in a month without a pause, in USD."""
    if not usage.output_tokens:
        return None
    million = month.total / (usage.output_tokens * replicas) * 1_000_000
    return million.quantize(TEN_THOUSANDTH)


def _bill(
    *, compute: Decimal, disk: Decimal | None, controller: Decimal | None, egress: Decimal | None
) -> MonthlyBill:
    """Each line in whole cents, and the total as the sum of the lines."""
    total = compute = _cents(compute)
    disk, controller, egress = _cents(disk), _cents(controller), _cents(egress)
    for part in (disk, controller, egress):
        if part is not None:
            total += part
    return MonthlyBill(
        compute=compute, disk=disk, controller=controller, egress=egress, total=total
    )


def _product(rate: Decimal | None, quantity: Decimal | int | None, replicas: int) -> Decimal | None:
    return None if rate is None or quantity is None else rate * quantity * replicas


@overload
def _cents(amount: Decimal) -> Decimal: ...
@overload
def _cents(amount: None) -> None: ...
def _cents(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else amount.quantize(CENT)
