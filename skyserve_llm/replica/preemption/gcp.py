"""Google Compute Engine: ``instance/preempted``, 30 seconds before a spot VM is stopped.

Source: Compute Engine docs, "Create and use Spot VMs" (preemption process) and "Query VM
metadata" (waiting for updates, entity tags).
"""

from collections.abc import AsyncGenerator

import httpx

from skyserve_llm.replica.preemption.metadata import MetadataError, answers, checked
from skyserve_llm.replica.preemption.notice import Notice

NAME = "gcp"
_FLAVOR = {"Metadata-Flavor": "Google"}
_PREEMPTED_PATH = "/computeMetadata/v1/instance/preempted"
# The service holds the question until the value changes, or for so long.
_WAIT_S = 60
_NOTICE_S = 30.0


async def is_here(client: httpx.AsyncClient) -> bool:
    """Whether the service says that it is Google's."""
    response = await answers(client, "GET", _PREEMPTED_PATH, _FLAVOR)
    return response is not None and _is_googles(response)


async def notices(client: httpx.AsyncClient) -> AsyncGenerator[Notice, None]:
    """The one notice that there is.

    Raises:
        MetadataError, httpx.HTTPError: the service does not answer as documented.
    """
    response = await _ask(client, {})
    while response.text.strip() != "TRUE":
        # With the tag of what we have seen, a change between two questions is not missed.
        wait = {
            "wait_for_change": "true",
            "timeout_sec": str(_WAIT_S),
            "last_etag": response.headers.get("etag", "0"),
        }
        response = await _ask(client, wait)
    yield Notice(cloud=NAME, kind="preempted", is_certain=True, left_s=_NOTICE_S)


async def _ask(client: httpx.AsyncClient, query: dict[str, str]) -> httpx.Response:
    patience = httpx.Timeout(2.0, read=_WAIT_S + 5 if query else 2.0)
    response = await client.get(_PREEMPTED_PATH, params=query, headers=_FLAVOR, timeout=patience)
    if not _is_googles(checked(response)):
        raise MetadataError("the metadata service does not say that it is Google's")
    return response


def _is_googles(response: httpx.Response) -> bool:
    return bool(response.headers.get("metadata-flavor") == "Google")
