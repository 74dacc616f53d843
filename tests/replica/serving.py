"""A real server on a real port, in the loop of the test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import uvicorn


@asynccontextmanager
async def served(app: object) -> AsyncIterator[httpx.AsyncClient]:
    """A client of ``app``, whose base URL says where it is."""
    config = uvicorn.Config(app, port=0, log_config=None, ws="none", access_log=False)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())  # not serve(): it takes the signals of pytest
    await until(lambda: _true(server.started))
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False
        ) as client:
            yield client
    finally:
        server.should_exit = True
        await task


async def _true(value: bool) -> bool:
    return value


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.01)
