"""A cloud's metadata service, as the machine itself reaches it. Knows HTTP and no cloud."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

# It is one hop away, on the host: what has not come by then does not come.
_TIMEOUT_S = 2.0


class MetadataError(Exception):
    """An answer that is not what the cloud documents."""


@asynccontextmanager
async def metadata_client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service at ``url``, which no proxy must ever stand in front of."""
    # Plain HTTP by design: without a transport of its own httpx would load certificates.
    transport = httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    async with httpx.AsyncClient(
        base_url=url, timeout=_TIMEOUT_S, trust_env=False, transport=transport
    ) as client:
        yield client


async def answers(
    client: httpx.AsyncClient, method: str, path: str, headers: Mapping[str, str]
) -> httpx.Response | None:
    """The answer where it is a 200, None where it is another or there is none."""
    try:
        response = await client.request(method, path, headers=headers)
    except httpx.HTTPError:
        return None
    return response if response.status_code == 200 else None


def checked(response: httpx.Response) -> httpx.Response:
    """Raise MetadataError for anything but a 200."""
    if response.status_code != 200:
        raise MetadataError(f"{response.request.url.path} answered {response.status_code}")
    return response
