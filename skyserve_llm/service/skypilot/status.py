"""SkyServe's status records become ``ServiceStatus``. Pure.

A record is what ``sky.serve.status`` answers (``sky/serve/serve_utils.py``, and
``ReplicaInfo.to_info_dict`` in ``sky/serve/replica_managers.py``, 0.14.1). States are taken by
name; one that we do not know is UNKNOWN, never READY and never gone.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from skyserve_llm.service.skypilot.store import Deployment
from skyserve_llm.service.types import ReplicaState, ReplicaStatus, ServiceState, ServiceStatus

Record = Mapping[str, Any]
State = TypeVar("State", bound=StrEnum)

# `1x[spot](gpus=L4:1, cpus=4, mem=16, g6.xlarge, disk=100, ports=['8000'])`: the instance type
# is the one element without a `=`.
_ACCELERATORS = re.compile(r"gpus=([^,)]+)")
_ELEMENTS = re.compile(r"\((.*)\)")
# `AWS (us-east-1a)`. Names over 25 characters are cut in the middle.
_INFRA = re.compile(r"(?P<cloud>.+?)(?: \((?P<place>[^()]+)\))?")


def service_status(
    record: Record, deployment: Deployment | None, observed_at: datetime
) -> ServiceStatus:
    """One record of ``sky.serve.status``; ``deployment`` is what we know of it ourselves."""
    replicas = [replica_status(info, deployment) for info in record.get("replica_info") or []]
    target = record.get("target_num_replicas")
    if target is None:  # the controller did not answer
        target = deployment.spec.replicas if deployment else len(replicas)
    return ServiceStatus(
        name=record["name"],
        backend="skypilot",
        model=deployment.spec.model if deployment else None,
        state=_state(ServiceState, record.get("status")),
        endpoint=_url(record.get("endpoint")),
        target_replicas=target,
        replicas=tuple(sorted(replicas, key=lambda replica: replica.replica_id)),
        observed_at=observed_at,
        created_at=deployment.created_at if deployment else None,
    )


def replica_status(info: Record, deployment: Deployment | None) -> ReplicaStatus:
    """One element of ``replica_info``.

    SkyServe keeps no time of readiness or of the end, and forgets ``launched_at`` with the
    machine: all three are None then.
    """
    state = _state(ReplicaState, info.get("status"))
    resources = info.get("resources_str_full") or info.get("resources_str") or ""
    accelerators = _ACCELERATORS.search(resources)
    spot = bool(info.get("is_spot"))
    return ReplicaStatus(
        replica_id=info["replica_id"],
        state=state,
        url=_url(info.get("endpoint")),
        infra=_infra(info),
        instance_type=_instance_type(resources),
        accelerators=accelerators.group(1).strip() if accelerators else None,
        spot=spot,
        price_per_hour=_price(info, deployment),
        launched_at=_time(info.get("launched_at")),
        reason=info.get("status_detail"),
        version=info.get("version") or 1,
    )


def ended(status: ServiceStatus, at: datetime) -> ServiceStatus:
    """The last status seen of a service that is gone, with every replica ended."""
    return replace(
        status,
        state=ServiceState.SHUTTING_DOWN,
        endpoint=None,
        target_replicas=0,
        observed_at=at,
        replicas=tuple(
            replace(
                replica,
                state=ReplicaState.TERMINATED if replica.state.alive else replica.state,
                ended_at=replica.ended_at or at,
            )
            for replica in status.replicas
        ),
    )


def _state(states: type[State], value: Any) -> State:
    name = getattr(value, "value", value)
    return states(name) if name in set(states) else states["UNKNOWN"]


def _url(endpoint: Any) -> str | None:
    # SkyPilot puts the protocol before whatever it has, so an unknown one is `http://None`.
    return None if endpoint is None or str(endpoint).endswith("://None") else str(endpoint)


def _infra(info: Record) -> str:
    found = _INFRA.fullmatch(info.get("infra") or "")
    cloud = info.get("cloud") or (found and found["cloud"])
    place = found["place"] if found else None
    if place is None or "..." in place:
        place = info.get("region")
    if not cloud:
        return "unknown"
    return f"{str(cloud).lower()}/{place}" if place else str(cloud).lower()


def _instance_type(resources: str) -> str | None:
    found = _ELEMENTS.search(resources)
    elements = [element.strip() for element in found.group(1).split(", ")] if found else []
    names = [element for element in elements if "=" not in element and element != "..."]
    return names[0] if names and "..." not in names[0] else None


def _price(info: Record, deployment: Deployment | None) -> Decimal | None:
    """The plan's price, where the replica is of the plan's kind; a fallback's is not known."""
    if deployment is None or bool(info.get("is_spot")) is not deployment.spec.use_spot:
        return None
    return deployment.spec.price_per_hour


def _time(seconds: Any) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
