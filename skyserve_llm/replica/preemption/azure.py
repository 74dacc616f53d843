"""Azure: Scheduled Events, at least 30 seconds before a spot VM is evicted.

Source: Azure docs, "Scheduled Events for Linux VMs" (api-version 2020-07-01): the events of a
whole scale set or availability set are listed, and each names the machines it is about.
"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from skyserve_llm.replica.preemption.metadata import MetadataError, answers, checked
from skyserve_llm.replica.preemption.notice import Notice

NAME = "azure"
_METADATA = {"Metadata": "true"}
_EVENTS_PATH = "/metadata/scheduledevents?api-version=2020-07-01"
_NAME_PATH = "/metadata/instance/compute/name?api-version=2021-02-01&format=text"
# The docs advise a question a second; one answer takes long when the first one asks.
_POLL_S = 1.0
_FIRST_ANSWER_S = 130.0
# All that end the process. 'Freeze' stops the machine for some seconds and lets it go on.
_ENDINGS = {"Preempt", "Terminate", "Redeploy", "Reboot"}


async def is_here(client: httpx.AsyncClient) -> bool:
    """Whether Azure's instance metadata service answers."""
    return await answers(client, "GET", _NAME_PATH, _METADATA) is not None


async def notices(
    client: httpx.AsyncClient, *, poll_s: float = _POLL_S
) -> AsyncGenerator[Notice, None]:
    """The first event that ends this machine.

    Raises:
        MetadataError, httpx.HTTPError: the service does not answer as documented.
    """
    name = checked(await client.get(_NAME_PATH, headers=_METADATA)).text.strip()
    patience = httpx.Timeout(2.0, read=_FIRST_ANSWER_S)
    while True:
        response = await client.get(_EVENTS_PATH, headers=_METADATA, timeout=patience)
        ending = _first_ending(checked(response).json(), name)
        if ending is not None:
            kind = str(ending["EventType"])
            yield Notice(cloud=NAME, kind=kind, is_certain=True, left_s=_until(ending))
            return
        await asyncio.sleep(poll_s)


def _first_ending(document: Any, name: str) -> dict[str, Any] | None:
    try:
        events = [
            event
            for event in document["Events"]
            if event["EventType"] in _ENDINGS and name in event["Resources"]
        ]
    except (KeyError, TypeError) as error:
        raise MetadataError("the list of scheduled events cannot be read") from error
    return min(events, key=_until, default=None)


def _until(event: dict[str, Any]) -> float:
    """Seconds until it may begin; none left once it has, when its time is empty."""
    try:
        at = parsedate_to_datetime(event.get("NotBefore") or "")
    except ValueError:
        return 0.0
    return (at - datetime.now(UTC)).total_seconds()
