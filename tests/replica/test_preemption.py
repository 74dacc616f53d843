"""Notices of three clouds, from loopback services that speak as theirs do."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response

from skyserve_llm.replica import preemption
from skyserve_llm.replica.preemption import Notice, aws, azure, gcp
from skyserve_llm.replica.preemption.metadata import MetadataError
from tests.replica.metadata_services import CLOUDS, Amazon, Azure, Google
from tests.replica.serving import served, until

QUICK = 0.01


class Heard:
    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.log: list[dict[str, Any]] = []

    @property
    def kinds(self) -> list[str]:
        return [notice.kind for notice in self.notices]

    def note(self, event: str, **fields: object) -> None:
        self.log.append({"event": event, **fields})

    async def until_watching(self) -> None:
        await until(self._is_watching)

    async def _is_watching(self) -> bool:
        return any(line["event"] == "preemption_watch" for line in self.log)


@asynccontextmanager
async def watching(app: FastAPI, cloud: str) -> Any:
    heard = Heard()
    async with served(app) as client:
        task = asyncio.create_task(
            preemption.watch(
                cloud,
                str(client.base_url),
                on_notice=heard.notices.append,
                log=heard.note,
                retry_s=QUICK,
            )
        )
        try:
            yield heard, task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def true_of(condition: Callable[[], bool]) -> bool:
    return condition()


@pytest.mark.parametrize("name", CLOUDS)
async def test_the_cloud_is_found_out(name: str) -> None:
    async with watching(CLOUDS[name]().app, "auto") as (heard, _):
        await heard.until_watching()
        assert heard.log == [{"event": "preemption_watch", "cloud": name}]


async def test_no_cloud_is_found_out_too() -> None:
    async with watching(FastAPI(), "auto") as (heard, task):
        await asyncio.wait_for(task, 10)
    assert heard.log == [{"event": "preemption_watch", "cloud": None}]
    assert heard.notices == []


async def test_a_service_that_nobody_runs() -> None:
    heard = Heard()
    url = "http://127.0.0.1:9"  # the port of the discard service: refused at once
    await preemption.watch("auto", url, on_notice=heard.notices.append, log=heard.note, retry_s=0)
    assert heard.log == [{"event": "preemption_watch", "cloud": None}]


async def test_amazon_interrupts() -> None:
    cloud = Amazon()
    cloud.interrupt("stop", in_s=120)
    async with watching(cloud.app, "aws") as (heard, task):
        await asyncio.wait_for(task, 10)
    (notice,) = heard.notices
    assert (notice.cloud, notice.kind, notice.is_certain) == ("aws", "stop", True)
    assert 60 < notice.left_s <= 120
    assert notice.reason == "aws: stop"


async def test_amazon_warns_first_and_only_once() -> None:
    cloud = Amazon()
    cloud.recommend()
    async with served(cloud.app) as client:
        coming = aws.notices(client, poll_s=QUICK)
        warning = await anext(coming)
        assert (warning.kind, warning.is_certain, warning.left_s) == ("rebalance", False, None)
        interrupting = asyncio.ensure_future(anext(coming))
        reads = cloud.reads
        await until(lambda: true_of(lambda: cloud.reads > reads + 3))
        assert not interrupting.done()
        cloud.interrupt()
        assert (await asyncio.wait_for(interrupting, 10)).kind == "terminate"
        with pytest.raises(StopAsyncIteration):
            await anext(coming)


async def test_a_token_that_amazon_forgets_is_renewed() -> None:
    cloud = Amazon()
    async with served(cloud.app) as client:
        coming = asyncio.ensure_future(anext(aws.notices(client, poll_s=QUICK)))
        await until(lambda: true_of(lambda: cloud.reads > 3))
        cloud.tokens.append("nobody's")
        await until(lambda: true_of(lambda: len(cloud.tokens) == 3))
        cloud.interrupt()
        assert (await asyncio.wait_for(coming, 10)).kind == "terminate"
    assert cloud.tokens == ["token-0", "nobody's", "token-2"]


async def test_google_preempts_while_we_wait() -> None:
    cloud = Google()
    async with watching(cloud.app, "gcp") as (heard, task):
        await until(lambda: true_of(lambda: cloud.waiting == 1))
        assert heard.notices == []
        cloud.preempt()
        await asyncio.wait_for(task, 10)
    (notice,) = heard.notices
    assert (notice.kind, notice.is_certain, notice.left_s) == ("preempted", True, 30)


async def test_a_preemption_between_two_questions_to_google_is_not_missed() -> None:
    cloud = Google()
    cloud.preempt()
    async with served(cloud.app) as client:
        assert (await asyncio.wait_for(anext(gcp.notices(client)), 10)).kind == "preempted"
    assert cloud.waiting == 0


async def test_what_is_not_googles_is_not_believed() -> None:
    impostor = FastAPI()

    @impostor.get("/computeMetadata/v1/instance/preempted")
    async def preempted() -> Response:
        return Response("TRUE")

    async with served(impostor) as client:
        assert not await gcp.is_here(client)
        with pytest.raises(MetadataError):
            await anext(gcp.notices(client))


@pytest.mark.parametrize("kind", ["Preempt", "Terminate", "Redeploy", "Reboot"])
async def test_azure_schedules_an_end(kind: str) -> None:
    cloud = Azure()
    cloud.schedule("Freeze", "machine_1")
    cloud.schedule("Preempt", "machine_0", "machine_2")
    async with served(cloud.app) as client:
        coming = asyncio.ensure_future(anext(azure.notices(client, poll_s=QUICK)))
        await until(lambda: true_of(lambda: cloud.reads > 3))
        assert not coming.done()
        cloud.schedule(kind, "machine_0", "machine_1", in_s=30)
        notice = await asyncio.wait_for(coming, 10)
    assert (notice.kind, notice.is_certain) == (kind, True)
    assert 10 < notice.left_s <= 30


async def test_an_event_of_azures_that_has_begun_leaves_no_time() -> None:
    cloud = Azure()
    cloud.schedule("Preempt", "machine_1", in_s=None)
    async with served(cloud.app) as client:
        notice = await asyncio.wait_for(anext(azure.notices(client)), 10)
    assert notice.left_s == 0


@pytest.mark.parametrize("name", CLOUDS)
async def test_a_service_in_trouble_is_asked_again_and_told_of_once(name: str) -> None:
    cloud, broken = CLOUDS[name](), True
    if isinstance(cloud, Amazon):
        cloud.interrupt()
    elif isinstance(cloud, Google):
        cloud.preempt()
    else:
        cloud.schedule("Preempt", "machine_1")
    failures = 0

    async def sometimes(scope: Any, receive: Any, send: Any) -> None:
        nonlocal failures
        if broken and scope["type"] == "http":
            failures += 1
            await Response("not yet", 500)(scope, receive, send)
        else:
            await cloud.app(scope, receive, send)

    async with watching(sometimes, name) as (heard, task):  # type: ignore[arg-type]
        await until(lambda: true_of(lambda: failures > 3))
        assert heard.notices == []
        broken = False
        await asyncio.wait_for(task, 10)
    assert len(heard.notices) == 1
    assert [line["event"] for line in heard.log] == ["preemption_watch", "warning"]


async def test_a_replica_drains_when_its_machine_is_taken(start: Any) -> None:
    """The whole way: service, watcher, drain, health, metrics, and the end of the process."""
    cloud = Google()
    async with served(cloud.app) as service:
        flags = ("--preemption-watch", "auto", "--lame-duck-s", "1")
        env = {"LLMBUDGET_METADATA_URL": str(service.base_url)}
        replica = await asyncio.to_thread(start, *flags, env=env)
        await until(lambda: true_of(lambda: cloud.waiting == 1))
        cloud.preempt()

        async def says_draining() -> bool:
            async with httpx.AsyncClient(trust_env=False) as http:
                health = await http.get(f"{replica.url}/v1/health")
                if health.status_code == 200:
                    return False
                metrics = (await http.get(f"{replica.url}/metrics")).text
            assert "gcp: preempted" in health.json()["reason"]
            assert "llmbudget_draining 1.0" in metrics
            assert 'preemption_notices_total{cloud="gcp",kind="preempted"} 1.0' in metrics
            return True

        await until(says_draining)
        assert await asyncio.to_thread(replica.exit_code) == 0
    (noticed,) = replica.events_of("preemption")
    assert noticed["left_s"] == 30


@pytest.mark.parametrize(("policy", "drains"), [("note", False), ("drain", True)])
async def test_what_a_warning_does_can_be_chosen(start: Any, policy: str, drains: bool) -> None:
    cloud = Amazon()
    cloud.recommend()
    async with served(cloud.app) as service:
        flags = ("--preemption-watch", "aws", "--on-rebalance", policy, "--lame-duck-s", "60")
        env = {"LLMBUDGET_METADATA_URL": str(service.base_url)}
        replica = await asyncio.to_thread(start, *flags, env=env, wait_ready=False)
        await until(lambda: true_of(lambda: bool(replica.events_of("preemption"))))
        assert bool(replica.events_of("drain")) is drains
