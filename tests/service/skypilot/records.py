"""Records as ``sky.serve.status`` answers them in SkyPilot 0.14.1.

Fields and formats as written in ``sky/serve/serve_state.py`` (``_get_service_from_row``),
``sky/serve/serve_utils.py`` (``_get_service_status``), ``sky/serve/replica_managers.py``
(``ReplicaInfo.to_info_dict``) and ``sky/utils/resources_utils.py`` (``format_resource``). The
client gets states as enums and no handle.
"""

import enum
from typing import Any


class Status(enum.Enum):
    """Stands for SkyServe's two enums, which have a value and are compared by it."""

    CONTROLLER_INIT = "CONTROLLER_INIT"
    REPLICA_INIT = "REPLICA_INIT"
    CONTROLLER_FAILED = "CONTROLLER_FAILED"
    READY = "READY"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    FAILED = "FAILED"
    FAILED_CLEANUP = "FAILED_CLEANUP"
    NO_REPLICA = "NO_REPLICA"
    PENDING = "PENDING"
    PROVISIONING = "PROVISIONING"
    STARTING = "STARTING"
    NOT_READY = "NOT_READY"
    FAILED_INITIAL_DELAY = "FAILED_INITIAL_DELAY"
    FAILED_PROBING = "FAILED_PROBING"
    FAILED_PROVISION = "FAILED_PROVISION"
    PREEMPTED = "PREEMPTED"
    UNKNOWN = "UNKNOWN"
    BRAND_NEW = "BRAND_NEW"


def replica(replica_id: int = 1, status: str = "READY", **fields: Any) -> dict[str, Any]:
    return {
        "replica_id": replica_id,
        "name": f"qwen-{replica_id}",
        "status": Status(status),
        "version": 1,
        "replica_info_version": 5,
        "endpoint": f"http://10.0.0.{replica_id}:8000",
        "is_spot": True,
        "launched_at": 1_790_000_000,
        "cloud": "GCP",
        "region": "us-central1",
        "resources_str": "1x[spot](gpus=L4:1, g2-standard-4, ...)",
        "resources_str_full": (
            "1x[spot](gpus=L4:1, cpus=4, mem=16, g2-standard-4, disk=80, ports=['8000'])"
        ),
        "infra": "GCP (us-central1-a)",
        "handle": None,
        **fields,
    }


def provisioning(replica_id: int = 1, **fields: Any) -> dict[str, Any]:
    """A replica whose machine SkyPilot does not know yet: half of the fields are not there."""
    return {
        "replica_id": replica_id,
        "name": f"qwen-{replica_id}",
        "status": Status.PROVISIONING,
        "version": 1,
        "replica_info_version": 5,
        "endpoint": None,
        "is_spot": True,
        "launched_at": None,
        "handle": None,
        **fields,
    }


def service(status: str = "READY", *replicas: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "name": "qwen",
        "controller_job_id": 1,
        "controller_port": 20001,
        "load_balancer_port": 30001,
        "status": Status(status),
        "uptime": 1_790_000_100,
        "policy": "Fixed 2 replicas",
        "version": 1,
        "active_versions": [1],
        "requested_resources_str": "1x[spot](L4:1)",
        "load_balancing_policy": "round_robin",
        "tls_encrypted": False,
        "pool": False,
        "controller_pid": 4242,
        "controller_ip": None,
        "hash": "h",
        "entrypoint": "llmbudget",
        "user_hash": "u",
        "yaml_content": "service: {}",
        "pool_yaml": "",
        "target_num_replicas": 2,
        "replica_info": list(replicas),
        "endpoint": "http://203.0.113.7:30001",
        **fields,
    }
