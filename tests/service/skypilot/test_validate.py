"""Every kind of YAML that we render, read by the real SkyPilot."""

import itertools
from dataclasses import replace

import pytest
import yaml

from skyserve_llm.errors import InputError
from skyserve_llm.service.render import render
from skyserve_llm.service.skypilot.client import TaskRequest, build_task, load_sky
from skyserve_llm.service.skypilot.validate import validate
from skyserve_llm.service.spec import service_spec
from skyserve_llm.service.types import Place, ServiceSpec
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.types import EngineName
from tests.service.plans import plan

pytestmark = pytest.mark.usefixtures("sky")

SPEC = service_spec(plan(), name="qwen", replicas=2)

PLACES = {
    "aws": ("us-east-1", None, "g6.xlarge", "L4"),
    "gcp": ("us-central1", "us-central1-a", "a2-highgpu-1g", "A100"),
    "azure": ("eastus", None, "Standard_NC24ads_A100_v4", "A100-80GB"),
    "lambda": (None, None, "gpu_1x_a10", "A10"),
    "runpod": ("CZ", "EU-CZ-1", "1x_A40_SECURE", "A40"),
    "vast": ("Bács-Kiskun, HU, EU", None, "1x-RTX_5090-32-65536", "RTX5090"),
    "nebius": ("us-central1", None, "gpu-h100-sxm_1gpu-16vcpu-200gb", "H100"),
    "oci": ("af-casablanca-1", "AF-CASABLANCA-1-AD-1", "VM.GPU.A10.1", "A10"),
    "paperspace": ("East Coast (NY2)", None, "V100", "V100"),
    "fluidstack": ("ARIZONA_USA", None, "A100_PCIE_80GB::1", "A100-80GB"),
    "do": (None, None, "gpu-h100x1-80gb", "H100"),
}
ENGINES: tuple[EngineName, ...] = ("vllm", "transformers", "simulated")


def at(cloud: str, gpus: int) -> Place:
    region, zone, instance_type, accelerator = PLACES[cloud]
    return Place(
        cloud=cloud, region=region, zone=zone, instance_type=instance_type,
        accelerator=accelerator, accelerator_count=gpus,
    )  # fmt: skip


def variants(cloud: str) -> list[ServiceSpec]:
    counts = ((1, ()), (2, ("LLMBUDGET_API_KEY",)), (16, ("HF_TOKEN", "LLMBUDGET_API_KEY")))
    return [
        replace(
            SPEC, places=(at(cloud, gpus),), use_spot=use_spot, engine=engine,
            replicas=replicas, secrets=secrets,
        )
        for gpus, use_spot, engine, (replicas, secrets) in itertools.product(
            (1, 2, 8), (True, False), ENGINES, counts
        )
    ]  # fmt: skip


@pytest.mark.parametrize("cloud", PLACES)
def test_skypilot_takes_every_service_that_we_render(cloud: str) -> None:
    sky = load_sky()
    for spec in variants(cloud):
        task = build_task(sky, TaskRequest(yaml.safe_load(render(spec)), {}))
        (resources,) = task.resources
        service = task.service

        assert (service.min_replicas, service.max_replicas) == (spec.replicas, None)
        assert service.load_balancing_policy == "round_robin"
        assert service.readiness_path == "/v1/health"
        assert service.endpoint_probe_interval_seconds == 5
        assert service.readiness_timeout_seconds == 5
        assert service.consecutive_failure_threshold_timeout == 20
        assert service.lb_stream_timeout_seconds == 120
        assert int(service.ports) == 8000
        assert resources.ports == ["8000"]
        assert str(resources.cloud).lower() == cloud
        assert (resources.region, resources.zone) == (spec.places[0].region, spec.places[0].zone)
        assert resources.instance_type == spec.places[0].instance_type
        assert resources.use_spot is spec.use_spot
        assert resources.disk_size == spec.disk_size_gib
        assert {ref.name for ref in task.managed_secret_refs} == set(spec.secrets)
        # What SkyPilot checks of mounts at deploy: the sources are there.
        task.expand_and_validate_file_mounts()


def test_every_cloud_that_we_say_can_serve_is_one_that_skypilot_knows() -> None:
    load_sky()
    from sky.skylet.constants import ALL_CLOUDS

    serving = {cloud.id for cloud in load_clouds().values() if cloud.serves}
    assert serving <= set(ALL_CLOUDS)
    assert set(PLACES) <= serving


def test_alternatives_become_a_set_of_resources() -> None:
    spec = replace(SPEC, places=(at("gcp", 1), at("aws", 1)))
    task = build_task(load_sky(), TaskRequest(yaml.safe_load(render(spec)), {}))

    assert {str(resources.cloud) for resources in task.resources} == {"AWS", "GCP"}
    assert all(resources.use_spot for resources in task.resources)
    assert all(resources.disk_size == spec.disk_size_gib for resources in task.resources)


def test_secrets_go_to_skypilot_beside_the_yaml() -> None:
    config = yaml.safe_load(render(SPEC))
    task = build_task(load_sky(), TaskRequest(config, {"HF_TOKEN": "", "LLMBUDGET_API_KEY": "k"}))

    assert {name: value.get_secret_value() for name, value in task.secrets.items()} == {
        "HF_TOKEN": "",
        "LLMBUDGET_API_KEY": "k",
    }
    assert not task.managed_secret_refs
    assert config["secrets"] == {"HF_TOKEN": None, "LLMBUDGET_API_KEY": None}
    assert "'k'" not in repr(TaskRequest(config, {"LLMBUDGET_API_KEY": "k"}))


@pytest.mark.parametrize(
    "overrides",
    [
        {"service": {"replicas": 3}},
        {"service": {"replica_policy": {"max_replicas": 4, "target_qps_per_replica": 2.5}}},
        {"service": {"replica_policy": {"base_ondemand_fallback_replicas": 1}}},
        {"service": {"readiness_probe": {"initial_delay_seconds": 60}}},
        {"resources": {"disk_size": 300, "labels": {"team": "ml"}}},
        {"resources": {"instance_type": None, "disk_tier": "high"}},
        {"envs": {"VLLM_LOGGING_LEVEL": "DEBUG"}},
    ],
)
def test_skypilot_takes_what_a_user_may_change(overrides: dict[str, object]) -> None:
    validate(render(SPEC, overrides=overrides))


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"service": {"readiness": {}}}, "readiness"),
        ({"service": {"load_balancing_policy": "fastest"}}, "load_balancing_policy|fastest"),
        ({"resources": {"disk_size": "huge"}}, "disk_size"),
        ({"resources": {"infra": "nowhere"}}, "nowhere"),
        ({"service": {"replica_policy": {"max_replicas": 4}}}, "target_qps_per_replica"),
    ],
)
def test_what_skypilot_refuses_is_the_users_to_correct(
    overrides: dict[str, object], says: str
) -> None:
    with pytest.raises(InputError, match=says) as caught:
        validate(render(SPEC, overrides=overrides))
    assert caught.value.hint is not None
    assert caught.value.__cause__ is not None
