"""Metadata services of three clouds on loopback: each with its paths, headers and refusals."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from fastapi import FastAPI, Header, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse


class Amazon:
    """IMDSv2 with sessions required. Documents are 404 until there is something to say."""

    def __init__(self) -> None:
        self.action: dict[str, str] | None = None
        self.rebalance: dict[str, str] | None = None
        self.tokens: list[str] = []
        self.reads = 0
        self.app = FastAPI()

        @self.app.put("/latest/api/token")
        async def token(
            request: Request, ttl: int = Header(alias="x-aws-ec2-metadata-token-ttl-seconds")
        ) -> Response:
            if "x-forwarded-for" in request.headers or not 1 <= ttl <= 21600:
                return Response(status_code=403)
            self.tokens.append(f"token-{len(self.tokens)}")
            return PlainTextResponse(self.tokens[-1])

        @self.app.get("/latest/meta-data/{path:path}")
        async def document(
            path: str, session: str = Header("", alias="x-aws-ec2-metadata-token")
        ) -> Response:
            self.reads += 1
            if not self.tokens or session != self.tokens[-1]:
                return Response(status_code=401)
            found = {
                "spot/instance-action": self.action,
                "events/recommendations/rebalance": self.rebalance,
            }.get(path)
            return Response(status_code=404) if found is None else JSONResponse(found)

    def interrupt(self, action: str = "terminate", *, in_s: float = 120) -> None:
        at = datetime.now(UTC) + timedelta(seconds=in_s)
        self.action = {"action": action, "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def recommend(self) -> None:
        self.rebalance = {"noticeTime": "2026-10-27T08:22:00Z"}


class Google:
    """``?wait_for_change=true`` holds the question until the value's tag is another."""

    def __init__(self) -> None:
        self._value, self._etag = "FALSE", 1
        self.waiting = 0
        self.app = FastAPI()

        @self.app.get("/computeMetadata/v1/instance/preempted")
        async def preempted(
            request: Request,
            wait_for_change: bool = False,
            timeout_sec: float = 3600,
            last_etag: str = "",
            flavor: str = Header("", alias="metadata-flavor"),
        ) -> Response:
            if flavor != "Google":
                return Response(status_code=403, headers={"metadata-flavor": "Google"})
            if wait_for_change:
                self.waiting += 1
                async with asyncio.timeout(timeout_sec):
                    while last_etag == self._tag and not await request.is_disconnected():
                        await asyncio.sleep(0.01)
            headers = {"metadata-flavor": "Google", "etag": self._tag}
            return PlainTextResponse(self._value, headers=headers)

    @property
    def _tag(self) -> str:
        return f"{self._etag:016x}"

    def preempt(self) -> None:
        self._value, self._etag = "TRUE", self._etag + 1


class Azure:
    """The events of every machine of a scale set; ours is ``machine_1``."""

    def __init__(self) -> None:
        self.events: list[dict[str, object]] = []
        self.reads = 0
        self.app = FastAPI()

        @self.app.get("/metadata/instance/compute/name")
        async def name(
            version: str = Query(alias="api-version"), metadata: str = Header("")
        ) -> Response:
            return (
                PlainTextResponse("machine_1") if metadata == "true" else Response(status_code=400)
            )

        @self.app.get("/metadata/scheduledevents")
        async def events(
            version: str = Query(alias="api-version"), metadata: str = Header("")
        ) -> Response:
            self.reads += 1
            if metadata != "true":
                return Response(status_code=400)
            return JSONResponse({"DocumentIncarnation": self.reads, "Events": self.events})

    def schedule(self, kind: str, *machines: str, in_s: float | None = 30) -> None:
        at = None if in_s is None else datetime.now(UTC) + timedelta(seconds=in_s)
        self.events.append(
            {
                "EventId": f"event-{len(self.events)}",
                "EventType": kind,
                "ResourceType": "VirtualMachine",
                "Resources": list(machines),
                "EventStatus": "Scheduled" if at else "Started",
                "NotBefore": format_datetime(at, usegmt=True) if at else "",
            }
        )


Cloud = Amazon | Google | Azure
CLOUDS: dict[str, Callable[[], Cloud]] = {"aws": Amazon, "gcp": Google, "azure": Azure}
