"""What SkyServe says about a service, and what we make of it."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from skyserve_llm.service.skypilot.status import ended, replica_status, service_status
from skyserve_llm.service.skypilot.store import Deployment
from skyserve_llm.service.spec import service_spec
from skyserve_llm.service.types import ReplicaState, ReplicaStatus, ServiceState
from tests.service.plans import plan
from tests.service.skypilot.records import provisioning, replica, service

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DEPLOYED = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
DEPLOYMENT = Deployment(spec=service_spec(plan(), name="qwen", replicas=2), created_at=DEPLOYED)


def test_a_ready_service() -> None:
    status = service_status(service("READY", replica(2), replica(1)), DEPLOYMENT, NOW)

    assert (status.name, status.backend, status.model) == (
        "qwen",
        "skypilot",
        "Qwen/Qwen2.5-7B-Instruct",
    )
    assert status.state is ServiceState.READY
    assert status.endpoint == "http://203.0.113.7:30001"
    assert (status.target_replicas, status.ready_replicas) == (2, 2)
    assert (status.created_at, status.observed_at) == (DEPLOYED, NOW)
    assert status.replicas[0] == ReplicaStatus(
        replica_id=1,
        state=ReplicaState.READY,
        url="http://10.0.0.1:8000",
        infra="gcp/us-central1-a",
        instance_type="g2-standard-4",
        accelerators="L4:1",
        spot=True,
        price_per_hour=Decimal("0.2194"),
        launched_at=datetime.fromtimestamp(1_790_000_000, UTC),
    )


def test_a_replica_that_has_no_machine_yet() -> None:
    status = replica_status(provisioning(3, status_detail="waiting for admission"), DEPLOYMENT)

    assert status == ReplicaStatus(
        replica_id=3,
        state=ReplicaState.PROVISIONING,
        url=None,
        infra="unknown",
        instance_type=None,
        accelerators=None,
        spot=True,
        price_per_hour=Decimal("0.2194"),
        launched_at=None,
        reason="waiting for admission",
    )


def test_a_service_that_was_deployed_from_elsewhere_has_no_price() -> None:
    status = service_status(service("READY", replica()), None, NOW)

    assert (status.model, status.created_at) == (None, None)
    assert status.replicas[0].price_per_hour is None


def test_an_on_demand_fallback_does_not_cost_what_spot_costs() -> None:
    status = service_status(service("READY", replica(is_spot=False)), DEPLOYMENT, NOW)

    assert not status.replicas[0].spot
    assert status.replicas[0].price_per_hour is None


def test_a_controller_that_does_not_answer_leaves_the_target_as_deployed() -> None:
    silent = service("READY", replica(), target_num_replicas=None)

    assert service_status(silent, DEPLOYMENT, NOW).target_replicas == 2
    assert service_status(silent, None, NOW).target_replicas == 1


@pytest.mark.parametrize("endpoint", [None, "http://None"])
def test_an_endpoint_that_is_not_known_is_none(endpoint: str | None) -> None:
    assert service_status(service("REPLICA_INIT", endpoint=endpoint), None, NOW).endpoint is None


def test_a_state_that_we_do_not_know_is_unknown_and_may_cost() -> None:
    status = service_status(service("BRAND_NEW", replica(status="BRAND_NEW")), None, NOW)

    assert status.state is ServiceState.UNKNOWN
    assert status.replicas[0].state is ReplicaState.UNKNOWN
    assert status.replicas[0].state.alive


@pytest.mark.parametrize(
    ("fields", "infra"),
    [
        ({"infra": "AWS (us-east-1a)", "cloud": "AWS", "region": "us-east-1"}, "aws/us-east-1a"),
        ({"infra": "Lambda (us-east-1)", "cloud": "Lambda", "region": "us-east-1"},
         "lambda/us-east-1"),
        # Cut in the middle by SkyPilot: the region says less, but what it says is so.
        ({"infra": "GCP (northameri...theast1-a-b)", "cloud": "GCP",
          "region": "northamerica-northeast1"}, "gcp/northamerica-northeast1"),
        ({"infra": "RunPod", "cloud": "RunPod", "region": None}, "runpod"),
    ],
)  # fmt: skip
def test_where_a_replica_is(fields: dict[str, str | None], infra: str) -> None:
    assert replica_status(replica(**fields), DEPLOYMENT).infra == infra


@pytest.mark.parametrize(
    ("resources", "instance_type", "accelerators"),
    [
        ("1x(gpus=A100-80GB:8, cpus=96, mem=1152, p4de.24xlarge, disk=300, ports=['8000'])",
         "p4de.24xlarge", "A100-80GB:8"),
        ("1x[spot](gpus=H100:1, Standard_NC40a..., ...)", None, "H100:1"),
        ("1x(cpus=4, mem=16, m6i.xlarge, disk=80)", "m6i.xlarge", None),
        ("Initializing", None, None),
    ],
)  # fmt: skip
def test_what_a_replica_runs_on(
    resources: str, instance_type: str | None, accelerators: str | None
) -> None:
    status = replica_status(replica(resources_str_full=resources), DEPLOYMENT)

    assert (status.instance_type, status.accelerators) == (instance_type, accelerators)


class Machine:
    """What SkyPilot's formatter asks of a launched replica's ``Resources``, without a catalog."""

    instance_type, accelerators, use_spot = "Standard_NC24ads_A100_v4", {"A100-80GB": 1}, True
    image_id, disk_size, disk_tier, ports = {None: "docker:x"}, 80, None, ["8000"]

    class cloud:  # noqa: N801 - SkyPilot's name
        canonical_name = staticmethod(lambda: "azure")
        get_vcpus_mem_from_instance_type = staticmethod(lambda _: (24.0, 220.0))

    def assert_launchable(self) -> "Machine":
        return self


def test_the_real_formatter_is_read_as_it_writes(sky: object) -> None:
    from sky.utils import resources_utils
    from sky.utils.infra_utils import InfraInfo

    simple, full = resources_utils.format_resource(Machine())
    info = replica(
        resources_str=f"1x{simple}",
        resources_str_full=f"1x{full}",
        infra=InfraInfo("Azure", "eastus").formatted_str(),
        cloud="Azure",
        region="eastus",
    )
    status = replica_status(info, None)

    assert (status.instance_type, status.accelerators) == (Machine.instance_type, "A100-80GB:1")
    assert status.infra == "azure/eastus"


def test_skyserves_states_are_all_ours(sky: object) -> None:
    from sky.serve import ReplicaStatus as SkyReplica
    from sky.serve import ServiceStatus as SkyService

    for state in SkyService:
        assert service_status(service(status="READY") | {"status": state}, None, NOW).state == (
            state.value
        )
    for state in SkyReplica:
        assert replica_status(replica() | {"status": state}, None).state == state.value


def test_a_service_that_is_gone_has_no_replica_that_costs() -> None:
    seen = service_status(
        service("SHUTTING_DOWN", replica(1, "SHUTTING_DOWN"), replica(2, "PREEMPTED")),
        DEPLOYMENT,
        NOW,
    )
    earlier = replace(seen.replicas[1], ended_at=DEPLOYED)
    last = ended(replace(seen, replicas=(seen.replicas[0], earlier)), NOW)

    assert [replica.state for replica in last.replicas] == [
        ReplicaState.TERMINATED,
        ReplicaState.PREEMPTED,
    ]
    assert [replica.ended_at for replica in last.replicas] == [NOW, DEPLOYED]
    assert (last.endpoint, last.target_replicas) == (None, 0)
