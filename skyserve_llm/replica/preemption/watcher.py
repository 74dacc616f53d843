"""Which cloud is this, and what does it say? Listens for as long as the replica runs."""

import asyncio
from collections.abc import Callable
from types import ModuleType

import httpx

from skyserve_llm.replica.logs import LogEvent
from skyserve_llm.replica.preemption import aws, azure, gcp
from skyserve_llm.replica.preemption.metadata import MetadataError, metadata_client
from skyserve_llm.replica.preemption.notice import Notice

OFF, AUTO = "off", "auto"
CLOUDS: dict[str, ModuleType] = {cloud.NAME: cloud for cloud in (aws, gcp, azure)}

# A service that fails is asked again, but not in a rush: the machine's own work goes first.
_RETRY_S = 5.0
# A machine that has just started may not reach its metadata service at once.
_DETECTION_TRIES = 3


async def watch(
    cloud: str,
    url: str,
    *,
    on_notice: Callable[[Notice], None],
    log: LogEvent,
    retry_s: float = _RETRY_S,
) -> None:
    """Call ``on_notice`` for each notice; ends with the last one, or where there is no cloud.

    ``cloud`` is one of `CLOUDS`, or ``auto``; ``url`` is where its metadata service is.
    """
    async with metadata_client(url) as client:
        source = CLOUDS[cloud] if cloud != AUTO else await _found(client, retry_s)
        log("preemption_watch", cloud=None if source is None else source.NAME)
        if source is not None:
            await _listen(source, client, on_notice, log, retry_s)


async def _found(client: httpx.AsyncClient, retry_s: float) -> ModuleType | None:
    for attempt in range(_DETECTION_TRIES):
        if attempt:
            await asyncio.sleep(retry_s)
        clouds = list(CLOUDS.values())
        here = await asyncio.gather(*(cloud.is_here(client) for cloud in clouds))
        if any(here):
            return clouds[here.index(True)]
    return None


async def _listen(
    source: ModuleType,
    client: httpx.AsyncClient,
    on_notice: Callable[[Notice], None],
    log: LogEvent,
    retry_s: float,
) -> None:
    complaint = None
    while True:
        try:
            async for notice in source.notices(client):
                on_notice(notice)
        except (httpx.HTTPError, MetadataError, ValueError) as error:
            # Once for each kind of trouble: it may last as long as the machine.
            if complaint != (complaint := f"{type(error).__name__}: {error}"):
                log("warning", message=f"no preemption notices from {source.NAME}: {complaint}")
        else:
            return
        await asyncio.sleep(retry_s)
