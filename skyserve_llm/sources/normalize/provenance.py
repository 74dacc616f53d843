"""Where a raw price comes from, and when it was true.

Knows the kinds of source there are: SkyPilot's catalogs, as hosted and as they lie in ``~/.sky``,
gpuhunt's, the price list of Karpenter's Azure provider, and a community price list. Anything else
keeps its own words, licence unknown.
"""

from __future__ import annotations

import re
from datetime import date
from functools import cache
from typing import NamedTuple

from skyserve_llm.errors import DataError

_CATALOG = re.compile(
    r"(?P<where>skypilot-catalog|~/\.sky/catalogs) v(?P<version>\d+)/(?P<cloud>[a-z]+)/vms\.csv"
    r"( @(?P<commit>[0-9a-f]+))?"
)


class Source(NamedTuple):
    """``version`` is that of SkyPilot's catalog schema, 0 for any other source.

    ``foreign`` where machines and GPUs go by other names than SkyPilot's.
    """

    id: str
    what: str
    url: str
    commit: str
    licence: str
    version: int
    foreign: bool = False


@cache
def parse_source(text: str) -> Source:
    """The source a raw row names."""
    catalog = _CATALOG.match(text)
    if catalog:
        where, version, cloud, commit = catalog.group("where", "version", "cloud", "commit")
        path = f"v{version}/{cloud}/vms.csv"
        hosted = where == "skypilot-catalog"
        return Source(
            id=f"skypilot-v{version}-{cloud}" if hosted else f"sky-local-v{version}-{cloud}",
            what=f"SkyPilot's own catalog of {cloud}, schema v{version}: catalogs/{path}"
            if hosted
            else f"SkyPilot's own catalog of {cloud} as SkyPilot left it in {where}/{path}",
            url="https://github.com/skypilot-org/skypilot-catalog",
            commit=commit or "",
            licence="unknown",  # the repository holds no licence file
            version=int(version),
        )
    if text.startswith("gpuhunt "):
        provider = text.removeprefix("gpuhunt ").removesuffix(".csv")
        return Source(
            id=f"gpuhunt-{provider}",
            what=f"gpuhunt's catalog of {provider}: {provider}.csv",
            url="https://github.com/dstackai/gpuhunt",
            commit="",
            licence="unknown",  # that of the code is MPL-2.0; the data states none
            version=0,
            foreign=True,
        )
    if text.startswith("karpenter-provider-azure"):
        return Source(
            id="karpenter-azure",
            what="Azure Retail Prices as Karpenter's Azure provider records them: "
            "pkg/providers/pricing/zz_generated.pricing.go",
            url="https://github.com/Azure/karpenter-provider-azure",
            commit="",
            licence="Apache-2.0",
            version=0,
        )
    if text.startswith("tardellirs/gpu-pricing"):
        return Source(
            id="gpu-pricing",
            what="A community list of providers' public price pages: src/data/offerings.json",
            url="https://github.com/tardellirs/gpu-pricing",
            commit="",
            licence="MIT",
            version=0,
        )
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not slug:
        raise DataError("a raw offer names no source", hint="fill in its source column")
    return Source(id=slug, what=text, url="", commit="", licence="unknown", version=0)


@cache
def parse_as_of(text: str, snapshot: date) -> str:
    """The ISO date a price was true, or '' where the row only says that it is undated.

    Raises DataError for anything else, and for a date after the snapshot's own.
    """
    if not text or text.startswith("undated"):
        return ""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise DataError(
            f"asof {text!r} is neither a date nor undated",
            hint="write YYYY-MM-DD, or 'undated(what is known of it)'",
        ) from None
    if day > snapshot:
        raise DataError(f"asof {text} is after the snapshot's date {snapshot}")
    return text


def as_of_note(text: str) -> str:
    """What is known of an undated row's age: ``'undated(v6: ~2025)'`` -> ``'v6: ~2025'``."""
    return text.removeprefix("undated").strip("()") or "undated"
