"""The supervisor: the process that keeps one local service as it was asked for.

Started by ``deploy`` with the service's folder, the listening socket of the endpoint and the
lock that it lives by. It puts the parts together: a slot for each replica, the load balancer,
and the controller that answers both the load balancer and the command line. Knows nothing of
how a replica is probed or a process guarded.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx

from skyserve_llm.errors import LlmbudgetError
from skyserve_llm.service.local import locks
from skyserve_llm.service.local.balancer import Balancer
from skyserve_llm.service.local.board import Board
from skyserve_llm.service.local.command import fill_port
from skyserve_llm.service.local.controller import Controller
from skyserve_llm.service.local.folder import Control, ServiceFolder, record_json
from skyserve_llm.service.local.lines import last_line
from skyserve_llm.service.local.process import LOG_LIMIT_BYTES, GuardedProcess, Tether
from skyserve_llm.service.local.slot import Slot
from skyserve_llm.service.local.state import HEARTBEAT_SECONDS
from skyserve_llm.service.types import ReplicaState, ServiceState

log = logging.getLogger(__name__)


class Supervisor:
    """One local service. ``run`` returns once nothing of it runs any more."""

    def __init__(
        self, folder: ServiceFolder, *, listener: int, lock: int, tether: Tether, endpoint: str
    ) -> None:
        order = folder.read_order()
        self._folder, self._lock, self._tether = folder, lock, tether
        self._spec, self._replica_command = order.spec, order.replica_command
        self._board = Board(folder, order.spec, endpoint)
        # One connection a probe: a replica that answers on an old connection and accepts no
        # new one is not ready.
        self._client = httpx.AsyncClient(
            trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self._controller = Controller(
            self._board, {"/scale": self._order_scale, "/down": self._order_down}
        )
        self._balancer = Balancer(
            board=self._board,
            spec=order.spec,
            folder=folder,
            tether=tether,
            listener=listener,
            controller_url=self._controller.load_balancer_url,
            client=self._client,
        )
        self._slots: dict[asyncio.Task[None], Slot] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()
        self._ended = asyncio.Event()
        self._failure: BaseException | None = None
        self._end_reason: str | None = None
        self._downed = False

    async def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(
                number, self._end, f"the supervisor was ended by {number.name}"
            )
        self._board.save()
        self._folder.write_control(Control(url=self._controller.url, token=self._controller.token))
        serving = self._spawn(self._controller.serve())
        # The load balancer first: with its imports it takes the longest to start.
        balancing = self._spawn(self._balancer.run())
        self._scale(self._spec.replicas)
        self._spawn(self._beat())
        await self._ending.wait()

        self._board.change(state=ServiceState.SHUTTING_DOWN, reason=self._end_reason)
        parts = [balancing, *self._slots]
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)
        self._ended.set()  # an order to go down is answered now
        self._controller.close()
        await asyncio.wait({serving})
        await self._client.aclose()
        if self._downed:
            self._folder.remove()
        if self._failure is not None:
            raise self._failure

    # --- orders ------------------------------------------------------------------------

    async def _order_scale(self, order: dict[str, Any]) -> bytes:
        replicas = order.get("replicas")
        if type(replicas) is not int or replicas < 0:
            raise ValueError(f"replicas must be a whole number of 0 or more, not {replicas!r}")
        if self._ending.is_set():
            raise ValueError("the service is going down")
        self._scale(replicas)
        return record_json(self._board.record)

    async def _order_down(self, order: dict[str, Any]) -> bytes:
        del order
        self._downed = True
        self._end("taken down")
        await self._ended.wait()
        return record_json(self._board.record)

    def _scale(self, replicas: int) -> None:
        log.info("%d replica%s wanted", replicas, "" if replicas == 1 else "s")
        self._board.change(target_replicas=replicas)
        kept = [slot for slot in self._slots.values() if not slot.retired]
        # What serves stays: first the ones that are not READY go, then the newest.
        kept.sort(key=lambda slot: (not self._is_ready(slot), slot.replica_id))
        for slot in kept[replicas:]:
            slot.retire()
        for _ in range(replicas - len(kept)):
            self._add_slot()

    def _is_ready(self, slot: Slot) -> bool:
        return self._board.replica(slot.replica_id).status.state is ReplicaState.READY

    # --- parts -------------------------------------------------------------------------

    def _add_slot(self) -> None:
        slot = Slot(
            board=self._board,
            rules=self._spec.readiness_probe,
            start=self._start_replica,
            client=self._client,
            log_tail=lambda replica_id: last_line(self._folder.replica_log(replica_id)),
        )
        task = self._spawn(slot.run())
        self._slots[task] = slot
        task.add_done_callback(lambda done: self._slots.pop(done, None))

    async def _start_replica(self, replica_id: int, port: int) -> GuardedProcess:
        return await GuardedProcess.start(
            fill_port(self._replica_command, port),
            # Secrets are among what the supervisor inherited: nothing of them is in a file.
            env=os.environ | {"LLMBUDGET_REPLICA_ID": str(replica_id), "PYTHONUNBUFFERED": "1"},
            log=self._folder.replica_log(replica_id),
            tether=self._tether,
        )

    async def _beat(self) -> None:
        """Show that the supervisor lives, and notice when its folder was taken away."""
        while True:
            try:
                os.utime(self._lock)
                there = os.path.samestat(os.fstat(self._lock), self._folder.supervisor_lock.stat())
            except OSError:
                there = False
            if not there:
                self._end("its folder was removed")
                return
            _rotate_own_output(self._folder.controller_log)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._part_ended)
        return task

    def _part_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A part that fails unexpectedly must not leave a service that only looks kept.
            self._failure = self._failure or error
            self._end(f"ended by an error: {error}")

    def _end(self, reason: str) -> None:
        if not self._ending.is_set():
            log.info("service %s: %s", self._folder.name, reason)
            self._end_reason = reason
            self._ending.set()


def _rotate_own_output(path: Path) -> None:
    """Keep the supervisor's log, to which its output was sent, and one before it in bounds."""
    with contextlib.suppress(OSError):
        if path.stat().st_size < LOG_LIMIT_BYTES:
            return
        path.replace(path.with_name(path.name + ".1"))
        fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(fresh, 1)
        os.dup2(fresh, 2)
        os.close(fresh)


async def _supervise(folder: ServiceFolder, listener: int, lock: int, endpoint: str) -> None:
    held = locks.claim(folder.processes_lock)
    if held is None:
        raise LlmbudgetError("processes of an earlier service of this name still run")
    tether = Tether.new(held)
    await Supervisor(folder, listener=listener, lock=lock, tether=tether, endpoint=endpoint).run()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--listener", type=int, required=True, help="a listening socket's number")
    parser.add_argument("--lock", type=int, required=True, help="the locked file's number")
    parser.add_argument("--endpoint", required=True)
    arguments = parser.parse_args()
    # ``deploy`` waits for the parent only: the supervisor is nobody's child, so it leaves no
    # zombie behind it and no program has to outlive it.
    if os.fork():
        os._exit(0)
    for number in (arguments.listener, arguments.lock):
        os.set_inheritable(number, False)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    folder = ServiceFolder(arguments.folder)
    os.pwrite(arguments.lock, b"%d\n" % os.getpid(), 0)
    try:
        asyncio.run(_supervise(folder, arguments.listener, arguments.lock, arguments.endpoint))
    except LlmbudgetError as error:
        log.error(error.message)  # noqa: TRY400 (one clear line)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
