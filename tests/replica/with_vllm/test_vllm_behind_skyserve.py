"""Two replicas behind SkyServe's load balancer, under load: one is told to end, one is killed."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from skyserve import SYNC_S, Clients, load_balancer

KEY = "sk-vllm-tests"
TOKENS = 200
QUESTION: Any = {"model": "tiny", "prompt": "hello", "max_tokens": TOKENS, "stream": True}
VLLMS_OWN = {"ignore_eos": True}


class Service:
    """Replicas, of which the load balancer learns those that are ready, as SkyServe's does."""

    def __init__(self, start_vllm: Any) -> None:
        self._start = start_vllm
        self.replicas: list[Any] = []
        self.url = ""

    def add(self) -> Any:
        number = len(self.replicas)
        # In the drain the load balancer has to hear of it: one synchronisation and a margin.
        replica = self._start(
            "llama",
            core=number,
            LLMBUDGET_REPLICA_ID=str(number),
            LLMBUDGET_LAME_DUCK_S=str(SYNC_S + 4),
        )
        self.replicas.append(replica)
        return replica

    def ready(self) -> list[str]:
        alive = [each for each in self.replicas if each.process.poll() is None]
        return [each.url for each in alive if each.is_ready()]

    def clients(self) -> Clients:
        return Clients(self.url, KEY, {**QUESTION, **VLLMS_OWN}, count=6)


@pytest.fixture(scope="module")
def service(start_vllm: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(start_vllm)
    service.add()
    service.add()
    log_file: Path = tmp_path_factory.mktemp("balancer") / "balancer.log"
    with load_balancer(service.ready, log_file) as service.url:
        yield service


def test_an_answer_streams_through_gate_and_load_balancer(service: Service) -> None:
    transport = httpx.Client(trust_env=False, verify=False)
    with openai.OpenAI(
        base_url=f"{service.url}/v1", api_key=KEY, max_retries=0, http_client=transport
    ) as client:
        arrived = []
        for chunk in client.completions.create(**QUESTION, extra_body=VLLMS_OWN):
            arrived.append(time.monotonic())
            reason = chunk.choices[0].finish_reason
    assert reason == "length"
    # As it was made, not in one piece at the end; vLLM joins tokens that are made faster than sent.
    assert len(arrived) >= 10
    assert arrived[-1] - arrived[0] > 0.1


def test_nothing_is_lost_when_a_replica_ends_under_load(service: Service) -> None:
    ending = service.replicas[1]
    with service.clients() as clients:
        ending.wait_until(lambda: {"0", "1"} <= {each.replica for each in clients.whole})
        ending.terminate()
        ending.wait_until(lambda: ending.health().status_code == 503, within_s=5)
        told = time.monotonic()
        assert ending.process.wait(timeout=120) == 0
        gone = time.monotonic()
        before = len(clients.whole)
        ending.wait_until(lambda: len(clients.whole) > before + 6, within_s=60)
    assert clients.failed == []
    served = [each for each in clients.whole if each.replica == "1" and each.began > told]
    assert len(served) > 0  # a lame duck serves as before
    assert gone - told < 60
    assert [event["outcome"] for event in ending.events_of("request")].count("cut") == 0


def test_a_kill_cuts_no_more_than_what_ran_there(service: Service) -> None:
    service.add()
    newest = str(len(service.replicas) - 1)
    killed = service.replicas[0]
    with service.clients() as clients:

        def running_there() -> int:
            return sum(each.replica == "0" and each.ended is None for each in clients.asked)

        killed.wait_until(lambda: newest in {each.replica for each in clients.whole}, within_s=60)
        killed.wait_until(lambda: running_there() >= 2, within_s=60)
        killed.kill()
        gone = time.monotonic()
        before = len(clients.whole)
        killed.wait_until(lambda: len(clients.whole) > before + 12, within_s=120)
    # A stream that has begun there ends without [DONE]: its client sees that it is not whole.
    cut = [each for each in clients.failed if each.status == 200]
    assert len(cut) >= 1
    assert all(each.replica == "0" and each.began < gone for each in cut)
    # The load balancer tries three times, and all three may go to a replica that it still lists.
    refused = [each for each in clients.failed if each.status != 200]
    assert all(each.replica is None and each.began < gone + SYNC_S for each in refused)
    served = {each.replica for each in clients.whole if each.began > gone}
    assert newest in served
    assert "0" not in served
