"""A server that is not ours, with the gate as its middleware, and its own way to end.

    python foreign_server.py uvicorn|vllm asyncio|uvloop

``uvicorn`` handles signals as uvicorn does. ``vllm`` does what ``vllm serve`` 0.32 does
(entrypoints/launchers/launcher.py): handlers on the event loop, set before the lifespan
starts, which end the engine first and then the server.
"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from skyserve_llm.replica.gate import Gate

app = FastAPI()
app.add_middleware(Gate)


@app.get("/v1/models")
async def models() -> dict[str, object]:
    return {"data": [{"id": "theirs"}]}


@app.post("/v1/completions")
async def complete(request: Request) -> object:
    body = await request.json()
    if not body.get("stream"):
        return {"usage": {"completion_tokens": 1}}

    async def tokens() -> AsyncIterator[bytes]:
        for _ in range(body["max_tokens"]):
            yield b'data: {"choices": [{"text": "ab"}]}\n\n'
            await asyncio.sleep(0.02)
        yield b"data: [DONE]\n\n"

    return StreamingResponse(tokens(), media_type="text/event-stream")


class NoSignalServer(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:  # type: ignore[override]
        yield


async def like_vllm(config: uvicorn.Config, listener: socket.socket) -> None:
    config.load()
    server = NoSignalServer(config)
    app.state.server = server
    loop = asyncio.get_running_loop()
    serving = loop.create_task(server.serve(sockets=[listener]))
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)

    async def end() -> None:
        await told.wait()
        print("engine ended", flush=True)
        server.should_exit = True
        serving.cancel()

    ending = loop.create_task(end())
    try:
        await serving
    except asyncio.CancelledError:
        await server.shutdown()
    finally:
        ending.cancel()


async def like_uvicorn(config: uvicorn.Config, listener: socket.socket) -> None:
    await uvicorn.Server(config).serve(sockets=[listener])


def main(style: str, loop: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"port {listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none")
    serve = {"vllm": like_vllm, "uvicorn": like_uvicorn}[style](config, listener)
    if loop == "uvloop":
        import uvloop

        uvloop.run(serve)
    else:
        asyncio.run(serve)
    print("ended in order", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
