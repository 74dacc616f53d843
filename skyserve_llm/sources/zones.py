"""Zones that are not like the others of their region."""

from __future__ import annotations

import re

_AWS_ZONE = re.compile(r"[a-z]+\d+-az\d+|[a-z]{2}(-[a-z]+)+-\d[a-z]")
"""A zone proper of AWS: its id (``usw2-az1``) or its name in an account (``us-west-2a``)."""


def local_zone(cloud: str, zone: str | None) -> bool:
    """Whether a zone is an AWS Local or Wavelength Zone: ``usw2-lax1-az1``, ``us-west-2-lax-1a``.

    They have few machines, prices of their own (AWS: "Local Zones pricing varies by location"), and
    must be enabled in an account first. SkyPilot's catalog gives them the parent region's
    on-demand price. No other cloud of the catalogs has such zones.
    """
    return cloud == "aws" and bool(zone) and not _AWS_ZONE.fullmatch(zone or "")
