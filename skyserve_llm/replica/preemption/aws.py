"""Amazon EC2: IMDSv2, two minutes before a spot instance is interrupted.

Source: EC2 User Guide, "Spot Instance interruption notices" and "EC2 instance rebalance
recommendations"; both ask to poll every 5 seconds.
"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import httpx

from skyserve_llm.replica.preemption.metadata import MetadataError, answers, checked
from skyserve_llm.replica.preemption.notice import Notice

NAME = "aws"
_TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path
_TOKEN_LIFE = {"X-aws-ec2-metadata-token-ttl-seconds": "21600"}
_ACTION_PATH = "/latest/meta-data/spot/instance-action"
_REBALANCE_PATH = "/latest/meta-data/events/recommendations/rebalance"
_POLL_S = 5.0


async def is_here(client: httpx.AsyncClient) -> bool:
    """Whether EC2's metadata service answers: nobody else gives out tokens there."""
    return await answers(client, "PUT", _TOKEN_PATH, _TOKEN_LIFE) is not None


async def notices(
    client: httpx.AsyncClient, *, poll_s: float = _POLL_S
) -> AsyncGenerator[Notice, None]:
    """A rebalance recommendation where one comes, then the interruption.

    Raises:
        MetadataError, httpx.HTTPError: the service does not answer as documented.
    """
    service = _Service(client)
    warned = False
    while True:
        action = await service.read(_ACTION_PATH)
        if action is not None:
            yield Notice(
                cloud=NAME, kind=str(action["action"]), is_certain=True, left_s=_until(action)
            )
            return
        if not warned and await service.read(_REBALANCE_PATH) is not None:
            warned = True
            yield Notice(cloud=NAME, kind="rebalance", is_certain=False, left_s=None)
        await asyncio.sleep(poll_s)


def _until(action: dict[str, object]) -> float:
    try:
        at = datetime.fromisoformat(str(action["time"]))
    except (KeyError, ValueError) as error:
        raise MetadataError("the interruption notice carries no time") from error
    return (at - datetime.now(UTC)).total_seconds()


class _Service:
    """IMDSv2: a token first, and a new one when it is refused."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._token: str | None = None

    async def read(self, path: str) -> dict[str, object] | None:
        """A document, or None while there is none (404)."""
        response = await self._get(path)
        if response.status_code == 401:
            self._token = None
            response = await self._get(path)
        if response.status_code == 404:
            return None
        value = checked(response).json()
        if not isinstance(value, dict):
            raise MetadataError(f"{path} is no JSON object")
        return value

    async def _get(self, path: str) -> httpx.Response:
        if self._token is None:
            response = await self._client.put(_TOKEN_PATH, headers=_TOKEN_LIFE)
            self._token = checked(response).text
        headers = {"X-aws-ec2-metadata-token": self._token}
        return await self._client.get(path, headers=headers)
