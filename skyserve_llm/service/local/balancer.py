"""Keeps SkyServe's load balancer running in front of a local service.

Knows its launcher's command line and address; what it does with requests is SkyServe's.
"""

import asyncio
import logging
import os
import sys

import httpx

from skyserve_llm.service.local.board import Board
from skyserve_llm.service.local.folder import ServiceFolder
from skyserve_llm.service.local.lines import last_line
from skyserve_llm.service.local.process import GuardedProcess, Tether, how_it_ended
from skyserve_llm.service.types import ServiceSpec, ServiceState

log = logging.getLogger(__name__)

_LAUNCHER = "skyserve_llm.service.skypilot.load_balancer"
# Both are the launcher's, whose import would bring sky along.
_CONTROLLER_URL = "LLMBUDGET_CONTROLLER_URL"
_ALIVE_PATH = "/llmbudget/alive"  # answered 405 by the load balancer itself: no replica is asked

_ALIVE_INTERVAL_SECONDS = 10.0
_ALIVE_TIMEOUT_SECONDS = 10.0
_SILENT_CHECKS = 3
_GIVE_UP_AFTER = 2  # starts in a row that never asked for replicas
_DOWN_GRACE_SECONDS = 1.0


class Balancer:
    """The load balancer's process, started anew when it dies or stops answering.

    ``listener`` is the listening socket. The supervisor keeps it open, so the endpoint's port
    is the service's for as long as the service lives, and clients that connect while a load
    balancer is replaced wait in its backlog instead of being refused.
    """

    def __init__(
        self,
        *,
        board: Board,
        spec: ServiceSpec,
        folder: ServiceFolder,
        tether: Tether,
        listener: int,
        controller_url: str,
        client: httpx.AsyncClient,
    ) -> None:
        self._board, self._folder, self._tether = board, folder, tether
        self._listener, self._client = listener, client
        self._command = (
            *(sys.executable, "-P", "-m", _LAUNCHER, "--listener", str(listener)),
            *("--load-balancing-policy", spec.load_balancing_policy),
            *("--stream-timeout-seconds", str(spec.stream_timeout_seconds)),
        )
        self._env = _environment(spec, controller_url)

    async def run(self) -> None:
        failures = 0
        while failures < _GIVE_UP_AFTER:
            asked_before = self._board.syncs
            try:
                reason = await self._live()
            except OSError as error:
                reason = f"could not be started: {error}"
            log.warning("load balancer %s", reason)
            # One that has asked for its replicas was working; two that never did will not.
            failures = failures + 1 if self._board.syncs == asked_before else 0
            self._board.change(load_balancer_pid=None, routable=())
            await asyncio.sleep(failures if failures < _GIVE_UP_AFTER else 0)
        os.close(self._listener)  # nobody will answer: refuse
        self._board.change(
            state=ServiceState.CONTROLLER_FAILED, reason=f"the load balancer {reason}"
        )

    async def _live(self) -> str:
        """Run one load balancer from start to end. Returns how it ended."""
        process = await GuardedProcess.start(
            self._command,
            env=self._env,
            log=self._folder.load_balancer_log,
            tether=self._tether,
            inherit=(self._listener,),
        )
        self._board.change(load_balancer_pid=process.pid)
        log.info("load balancer started on %s", self._board.record.endpoint)
        exited = asyncio.create_task(process.wait())
        silent = asyncio.create_task(self._until_silent())
        try:
            await asyncio.wait({exited, silent}, return_when=asyncio.FIRST_COMPLETED)
            if not exited.done():
                return "stopped answering"
            return how_it_ended(exited.result(), last_line(self._folder.load_balancer_log))
        finally:
            exited.cancel()
            silent.cancel()
            await process.stop(_DOWN_GRACE_SECONDS)

    async def _until_silent(self) -> None:
        asked_before = self._board.syncs
        await self._board.until(lambda: self._board.syncs > asked_before)
        unanswered = 0
        while unanswered < _SILENT_CHECKS:
            await asyncio.sleep(_ALIVE_INTERVAL_SECONDS)
            try:
                await self._client.options(
                    self._board.record.endpoint + _ALIVE_PATH, timeout=_ALIVE_TIMEOUT_SECONDS
                )
                unanswered = 0
            except httpx.HTTPError:
                unanswered += 1


def _environment(spec: ServiceSpec, controller_url: str) -> dict[str, str]:
    # The keys are the replicas' business; a proxy must not be asked for the way to loopback.
    inherited = {name: value for name, value in os.environ.items() if name not in spec.secrets}
    direct = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1,localhost")))
    return inherited | {
        _CONTROLLER_URL: controller_url,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "PYTHONUNBUFFERED": "1",
    }
