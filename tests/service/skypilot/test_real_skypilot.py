"""The real SkyPilot and its real API server, with no cloud and no internet.

The server is started by SkyPilot's own SDK, as for every user; the fixture ends it and proves
that nothing of it runs on.
"""

import ctypes
from collections.abc import Iterator

import psutil
import pytest
import yaml

from skyserve_llm.errors import BackendError, InputError
from skyserve_llm.service.skypilot.backend import SkyPilotBackend
from skyserve_llm.service.skypilot.client import Lines, SkyPilot, TaskRequest
from skyserve_llm.service.skypilot.store import ServiceFiles, deployed
from skyserve_llm.service.spec import service_spec
from tests.service.plans import candidate, plan

pytestmark = [
    # Starting the API server takes 6 to 15 s.
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("api_server"),
    # SkyPilot starts its server and lets go of it.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]

SPEC = service_spec(
    plan([candidate(cloud="aws", region="us-east-1", zone="use1-az1", instance_type="g6.xlarge")]),
    name="qwen",
)
ENVIRON = {"LLMBUDGET_API_KEY": "secret-key"}


class NeverUp(SkyPilot):
    """The real client, but for the one call that costs money where a cloud is enabled."""

    def up(self, task: TaskRequest, name: str, *, lines: Lines) -> None:
        pytest.fail("a test was about to rent machines")


def server_on(port: int) -> psutil.Process | None:
    """The API server of that port, if it runs."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "sky.server.server" in command and f"--port={port}" in command:
            return process
    return None


@pytest.fixture(scope="module")
def api_server(sky: object, api_port: int) -> Iterator[None]:
    assert server_on(api_port) is None
    adopt_orphans(True)
    yield
    server = server_on(api_port)
    if server is not None:
        # All of them by id, and waited for: its executors outlive a server that is told to end.
        family = [server, *server.children(recursive=True)]
        for process in family:
            process.kill()
        _, left = psutil.wait_procs(family, timeout=20)
        assert left == []
    adopt_orphans(False)
    assert server_on(api_port) is None


def adopt_orphans(yes: bool) -> None:
    """Processes whose parent ends become ours to wait for, so that no zombie is left either."""
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, int(yes), 0, 0, 0)


def test_deploying_without_a_cloud_says_so_and_leaves_the_yaml(
    capfd: pytest.CaptureFixture[str], api_port: int
) -> None:
    lines: list[str] = []
    with pytest.raises(BackendError) as caught:
        SkyPilotBackend(client=NeverUp(), environ=ENVIRON).deploy(
            SPEC, progress=lines.append, timeout_seconds=60
        )

    error = caught.value
    path = ServiceFiles("qwen").tried
    assert error.exit_code == 5
    assert error.message == (
        "SkyPilot cannot run this: Cloud access is not set up. Run: sky check "
        f"(the YAML is in {path})"
    )
    assert error.hint is not None
    assert "`sky check`" in error.hint
    assert type(error.__cause__).__name__ == "NoCloudAccessError"
    assert yaml.safe_load(path.read_text())["resources"]["infra"] == "aws/us-east-1"
    assert deployed() == []
    # stdout is for results.
    assert capfd.readouterr().out == ""
    # It was a server of SkyPilot's that answered.
    assert server_on(api_port) is not None


def test_a_yaml_that_skypilot_refuses_never_reaches_its_server() -> None:
    overrides = {"service": {"readiness": 1}}
    backend = SkyPilotBackend(client=NeverUp(), environ=ENVIRON, overrides=overrides)
    with pytest.raises(InputError, match="SkyPilot refuses the service YAML"):
        backend.deploy(SPEC, progress=print, timeout_seconds=60)


def test_without_internet_the_state_is_unknown_and_not_empty() -> None:
    """SkyPilot's answer to "is there a service?" needs the network, whatever runs."""
    backend = SkyPilotBackend(client=NeverUp())
    try:
        found = backend.status("qwen")
    except BackendError as error:
        assert "cannot tell what SkyPilot runs" in error.message
        assert error.hint is not None
    else:
        # On a machine with internet there is no controller, so nothing runs.
        assert found == []
