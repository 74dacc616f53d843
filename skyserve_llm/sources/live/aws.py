"""AWS's spot prices of this moment: ``DescribeSpotPriceHistory`` of EC2, through boto3.

Needs the user's credentials (``ec2:DescribeSpotPriceHistory``, ``DescribeRegions`` and
``DescribeAvailabilityZones``; asking costs nothing) and the extra ``aws``. The only importer of
boto3, which finds credentials and endpoints as it always does.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from skyserve_llm.errors import InputError, RefreshError
from skyserve_llm.sources.live.machines import Answer
from skyserve_llm.sources.price_table import CLOUD, REGION, SPOT

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import date

    from skyserve_llm.sources.live.machines import Cloud
    from skyserve_llm.sources.price_table import Row

SOURCE = "aws-spot-history"

PRODUCT = "Linux/UNIX"
"""What SkyPilot boots; the same machine with another system has another price."""

AT_ONCE = 8
"""Regions asked at the same time. A region answers in about a second, and there are thirty."""

HOME_REGION = "us-east-1"
"""Where the regions are asked for if the user's configuration names no region."""


def fetch(
    known: Cloud,
    today: date,
    progress: Callable[[str], None],
    *,
    regions: Collection[str] = (),
) -> Answer:
    """The spot price of every known machine in every zone where AWS has one now.

    In ``regions``, or where the table has AWS's prices, of those that are enabled in the account.
    Raises InputError without boto3, credentials or permission, RefreshError where AWS cannot be
    asked.
    """
    boto3, errors = _boto3()
    try:
        session = boto3.Session()
        home = session.client("ec2", region_name=session.region_name or HOME_REGION)
        enabled = {one["RegionName"] for one in home.describe_regions()["Regions"]}
        asked = sorted(set(regions or known.regions) & enabled)
        if not asked:
            raise InputError(
                f"none of {', '.join(sorted(regions or known.regions))} is enabled in this account",
                hint="`aws ec2 describe-regions` lists those that are",
            )
        # Clients are made here: making one is the only thing that threads may not do at once.
        clients = [(region, session.client("ec2", region_name=region)) for region in asked]
        rows: list[Row] = []
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            answers = pool.map(lambda pair: _region(pair[0], pair[1], known, today), clients)
            for region, found in zip(asked, answers, strict=True):
                progress(f"aws/{region}: {len(found)} spot prices")
                rows += found
    except (errors.NoCredentialsError, errors.PartialCredentialsError) as error:
        raise InputError(
            "no AWS credentials were found", hint="`aws configure` or AWS_ACCESS_KEY_ID gives them"
        ) from error
    except errors.ClientError as error:
        raise _refused(error) from error
    except errors.BotoCoreError as error:
        raise RefreshError(f"AWS cannot be asked for spot prices: {error}") from error
    return Answer(
        rows, lambda row: row[CLOUD] == "aws" and row[SPOT] == "1" and row[REGION] in asked
    )


def _boto3() -> tuple[Any, Any]:
    try:
        import boto3
        from botocore import exceptions
    except ImportError as error:
        raise InputError(
            "AWS's live prices need boto3, which is not installed",
            hint="pip install 'llmbudget[aws]'",
        ) from error
    return boto3, exceptions


def _region(region: str, ec2: Any, known: Cloud, today: date) -> list[Row]:
    zones = _zone_names(ec2, known)
    newest: dict[tuple[str, str], tuple[datetime, str]] = {}
    pages = ec2.get_paginator("describe_spot_price_history").paginate(
        InstanceTypes=sorted(known.machines),
        ProductDescriptions=[PRODUCT],
        # From now on: what each price is at this moment, however long ago it changed.
        StartTime=datetime.now(UTC),
    )
    for page in pages:
        for one in page["SpotPriceHistory"]:
            key = one["InstanceType"], one["AvailabilityZone"]
            if key not in newest or newest[key][0] < one["Timestamp"]:
                newest[key] = one["Timestamp"], one["SpotPrice"]
    rows = []
    for (instance_type, zone), (_, price) in sorted(newest.items()):
        amount = Decimal(price)
        if instance_type in known.machines and zone in zones and amount > 0:
            text = f"{amount.normalize():f}"
            rows.append(
                known.row(
                    region, zones[zone], instance_type, spot=True, price=text, today=today,
                    source=SOURCE,
                )
            )  # fmt: skip
    return rows


def _zone_names(ec2: Any, known: Cloud) -> dict[str, str]:
    """A zone as this account calls it -> as the table does.

    ``us-east-1a`` is another zone in every account; SkyPilot's catalog has ids (``use1-az1``),
    the copy it keeps in ``~/.sky`` has this account's names.
    """
    named = {}
    for zone in ec2.describe_availability_zones()["AvailabilityZones"]:
        name = zone["ZoneName"]
        named[name] = name if name in known.zones else zone["ZoneId"]
    return named


def _refused(error: Any) -> InputError:
    said = error.response.get("Error", {})
    operation = getattr(error, "operation_name", "a request")
    return InputError(
        f"AWS refused {operation}: {said.get('Code')}: {said.get('Message')}",
        hint="the credentials need ec2:DescribeRegions, ec2:DescribeAvailabilityZones and "
        "ec2:DescribeSpotPriceHistory",
    )
