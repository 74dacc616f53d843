"""SkyPilot in a home of its own: no cloud, no account, no internet, nothing of the developer's."""

import os
import socket
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from skyserve_llm.service.skypilot.client import load_sky

# The catalogs that SkyPilot would download, in their real format (v8), with one machine.
CATALOGS = {
    "common/accelerators.csv": "AcceleratorName,Clouds\nL4,\"['AWS', 'GCP']\"\n",
    "aws/vms.csv": (
        "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,"
        "Region,AvailabilityZone,Arch\n"
        "g6.xlarge,L4,1.0,4.0,16.0,\"{'Gpus': [{'Name': 'L4', 'Manufacturer': 'NVIDIA', "
        "'Count': 1, 'MemoryInfo': {'SizeInMiB': 24576}}], 'TotalGpuMemoryInMiB': 24576}\","
        "0.8048,0.3,us-east-1,use1-az1,x86_64\n"
    ),
}


_KEPT = {"PATH", "LANG", "LC_ALL", "TMPDIR", "PYTEST_CURRENT_TEST", "PYTHONDONTWRITEBYTECODE"}


@pytest.fixture(scope="session")
def sky_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("sky-home")
    for name, text in CATALOGS.items():
        path = home / ".sky" / "catalogs" / "v8" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return home


@pytest.fixture(scope="session")
def api_port() -> int:
    """The port of the API server. One a session: SkyPilot's client reads it once."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if _is_free(_queue_port(port)):
            return port
    pytest.fail("no free pair of ports for SkyPilot's API server")


def _queue_port(api_port: int) -> int:
    """The server's second port, as sky/server/requests/queues/mp_queue.py derives it: it lies
    among those that any connection on this machine may be using."""
    return 50000 + (11 + api_port - 46580) % 10000


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _set_apart(patch: pytest.MonkeyPatch, sky_home: Path, api_port: int) -> None:
    # A developer's accounts, keys and API server are in variables too.
    for name in set(os.environ) - _KEPT:
        patch.delenv(name)
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("HOME", str(sky_home))
    patch.setenv("SKYPILOT_DISABLE_USAGE_COLLECTION", "1")
    patch.setenv("SKYPILOT_API_SERVER_LOCAL_PORT", str(api_port))


@pytest.fixture(autouse=True)
def _apart(sky_home: Path, api_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _set_apart(monkeypatch, sky_home, api_port)
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "llmbudget"))


@pytest.fixture(scope="session")
def sky(sky_home: Path, api_port: int) -> ModuleType:
    """The real SkyPilot, imported in its own home: it settles some of its paths then."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        _set_apart(patch, sky_home, api_port)
        # Its own use of older SQLAlchemy and FastAPI, at import.
        warnings.simplefilter("ignore", DeprecationWarning)
        return load_sky()
