"""Local Zones are told from the zones of their region by their name."""

import pytest

from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.zones import local_zone
from skyserve_llm.types import Market


@pytest.mark.parametrize(
    "zone",
    ["usw2-lax1-az1", "use1-wl1-bos-wlz1", "us-west-2-lax-1a", "us-east-1-wl1-bos-wlz-1"],
)
def test_local_and_wavelength_zones(zone: str) -> None:
    assert local_zone("aws", zone)


@pytest.mark.parametrize(
    "zone", ["use1-az1", "apse4-az3", "usgw1-az1", "us-east-1a", "us-gov-west-1b"]
)
def test_zones_proper(zone: str) -> None:
    assert not local_zone("aws", zone)


def test_only_aws_has_them_and_only_zones_are_zones() -> None:
    assert not local_zone("gcp", "us-south1-ai1b")
    assert not local_zone("aws", None)
    assert not local_zone("aws", "")


def test_the_shipped_table_has_both_kinds() -> None:
    offers, _ = load_offers(Market(clouds=("aws",), every_place=True), load_gpus())
    local = {offer.zone for offer in offers if local_zone("aws", offer.zone)}
    assert all(zone and zone.count("-") == 2 for zone in local)
    assert {"use1-az1", "usw2-az1"} <= {offer.zone for offer in offers} - local
