"""Is a replica ready, and when is it lost: SkyServe's rules for readiness probes.

``Health`` is the judgement, on values alone (sky/serve/replica_managers.py is the model);
``probe`` is the one question over HTTP. Neither knows of processes or states on disk.
"""

from dataclasses import dataclass
from enum import Enum

import httpx

from skyserve_llm.service.types import ReadinessProbe


class Verdict(Enum):
    STARTING = "not ready yet"
    READY = "ready"
    NOT_READY = "was ready, is not now"
    LATE = "was not ready within the initial delay"
    LOST = "has failed its probes for too long"


@dataclass(slots=True)
class Health:
    """One replica's history of probes. Times are seconds of one steady clock."""

    rules: ReadinessProbe
    launched: float
    was_ready: bool = False
    failing_since: float | None = None

    def judge(self, *, answered: bool, at: float) -> Verdict:
        """``at`` is when the probe was sent."""
        if answered:
            self.was_ready, self.failing_since = True, None
            return Verdict.READY
        if not self.was_ready:
            late = at - self.launched >= self.rules.initial_delay_seconds
            return Verdict.LATE if late else Verdict.STARTING
        if self.failing_since is None:
            self.failing_since = at
        failing_for = at - self.failing_since
        if failing_for >= self.rules.consecutive_failure_threshold_timeout:
            return Verdict.LOST
        return Verdict.NOT_READY


async def probe(client: httpx.AsyncClient, url: str, timeout_seconds: float) -> str | None:
    """GET ``url``. None for a 200, otherwise what was wrong with the answer."""
    try:
        response = await client.get(url, timeout=timeout_seconds)
    except httpx.TimeoutException:
        return f"no answer within {timeout_seconds:g} s"
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    return None if response.status_code == httpx.codes.OK else f"HTTP {response.status_code}"
