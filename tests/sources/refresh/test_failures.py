"""Whatever goes wrong with a refresh: the old table stays, one clear line, the right exit code."""

import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from skyserve_llm.errors import RefreshError
from skyserve_llm.home import price_store_path, prices_dir
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.refresh.fetch import Limits
from skyserve_llm.sources.refresh.job import refresh_hosted
from skyserve_llm.types import Market, Offer
from skyserve_llm.units import MIB
from tests.sources.refresh import mirror as server
from tests.sources.refresh.mirror import Mirror, catalog

TODAY = date(2026, 11, 23)
GPUS = load_gpus()
QUICK = Limits(silence_seconds=5, file_seconds=10, pause_seconds=0.01)
A10 = "gpu_1x_a10,A10,1,30,200,{},us-east-1,,"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "home"))


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """A host of two catalogs, of which one refresh has been made."""
    with server.running() as mirror:
        mirror.put("lambda", catalog(A10.format("0.75")))
        mirror.put("nebius", catalog("gpu-l40s-a_1gpu-8vcpu-32gb,L40S,1,8,32,1.5,eu-north1,,"))
        refresh(mirror)
        mirror.put("lambda", catalog(A10.format("0.99")))
        mirror.asked.clear()
        yield mirror


def refresh(mirror: Mirror, limits: Limits = QUICK):
    return refresh_hosted([mirror.url], (), TODAY, limits, lambda *_: None)


def offers() -> list[Offer]:
    return load_offers(Market(every_place=True), GPUS)[0]


def table() -> str:
    return sha256(price_store_path().read_bytes()).hexdigest()


def fails(mirror: Mirror, why: str, limits: Limits = QUICK) -> RefreshError:
    """A refresh that fails for a reason and leaves the table, its prices and the folder alone."""
    before, prices = table(), offers()
    kept = sorted(path.name for path in prices_dir().rglob("*"))
    with pytest.raises(RefreshError) as caught:
        refresh(mirror, limits)
    assert why in caught.value.message
    assert caught.value.message.startswith("prices were not refreshed: ")
    assert caught.value.message.endswith("; those of 2026-11-23 (refreshed) stay in use")
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 5
    assert (table(), offers()) == (before, prices)
    assert sorted(path.name for path in prices_dir().rglob("*")) == kept
    return caught.value


def lambda_answers(mirror: Mirror, *script: server.Answer) -> None:
    mirror.put("lambda", catalog(A10.format("0.99")), *script)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ([server.truncated] * 3, "lambda/vms.csv: the download broke off"),
        ([server.cut_off] * 3, "lambda/vms.csv: the download broke off in the middle of a line"),
        ([server.web_page], "lambda/vms.csv: the server sent a web page"),
        ([server.web_page_as_text], "lambda/vms.csv is no price catalog: no column InstanceType"),
        ([server.status(500)] * 3, "lambda/vms.csv: the server answered 500 Internal Server Error"),
        ([server.status(429)] * 3, "lambda/vms.csv: the server answered 429 Too Many Requests"),
        ([server.status(403)], "lambda/vms.csv: the server answered 403 Forbidden"),
        ([server.dropped] * 3, "lambda/vms.csv: the download broke off"),
        ([server.moved] * 30, "lambda/vms.csv: the download failed: Exceeded maximum allowed"),
    ],
)
def test_a_server_that_does_not_deliver(mirror: Mirror, script: list[server.Answer], why: str):
    lambda_answers(mirror, *script)
    fails(mirror, why)


def test_a_server_that_says_nothing(mirror: Mirror):
    lambda_answers(mirror, server.silent, server.silent)
    fails(mirror, "the server was silent for 0.2 s", QUICK._replace(silence_seconds=0.2, tries=2))
    assert mirror.times_asked("lambda") == 2


def test_a_server_that_never_comes_to_an_end(mirror: Mirror):
    lambda_answers(mirror, server.trickling)
    # Long enough that a busy machine has asked by then.
    fails(mirror, "not all of it came within 2 s", QUICK._replace(file_seconds=2))
    assert mirror.times_asked("lambda") == 1


@pytest.mark.parametrize(
    ("content", "script"),
    [
        (b"x" * 2 * MIB, server.ok),
        (b"x" * 2 * MIB, server.compressed),
        (b"", server.endless),
    ],
)
def test_a_body_larger_than_any_catalog(mirror: Mirror, content: bytes, script: server.Answer):
    mirror.put("lambda", content, script)
    fails(mirror, "lambda/vms.csv: it is larger than 1 MiB", QUICK._replace(max_bytes=MIB))


def test_nobody_there(mirror: Mirror):
    mirror.shutdown()
    mirror.server_close()
    fails(mirror, "the server cannot be reached")


def test_another_host_than_one_of_catalogs(mirror: Mirror):
    mirror.catalogs.clear()
    error = fails(mirror, f"no catalog of any cloud under {mirror.url}/v8")
    assert error.hint == "check the catalog URL"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"cloud,price\naws,1\n", "lambda/vms.csv is no price catalog: no column InstanceType"),
        (catalog(A10.format("0.9"), "gibberish"), "lambda/vms.csv, line 3: 1 cells, expected 9"),
        (
            catalog(A10.format("cheap")),
            "lambda/vms.csv, line 2: column Price: 'cheap' is not a pri",
        ),
        (catalog(A10.format("0.9"))[:-25], "lambda/vms.csv, line 2"),
        (b"\xff\xfe\x00", "lambda/vms.csv is no CSV in UTF-8"),
    ],
)
def test_a_catalog_that_is_none(mirror: Mirror, content: bytes, why: str):
    mirror.put("lambda", content)
    fails(mirror, why)
    # What broke the build is not taken for the catalog we have: the next one is asked for anew.
    mirror.put("lambda", catalog(A10.format("0.5")))
    assert refresh(mirror).prices
    assert {str(one.price_per_hour) for one in offers() if one.cloud == "lambda"} == {"0.5"}


def test_catalogs_in_which_nothing_is_of_use(mirror: Mirror):
    for cloud in ("lambda", "nebius"):
        mirror.put(cloud, catalog("gpu,K80,1,4,30,0.4,us-east-1,,"))
    fails(mirror, "not one price in the catalogs is one that we can use")


def test_a_table_that_was_damaged_is_mended(mirror: Mirror):
    price_store_path().write_bytes(b"no table")
    refreshed = refresh(mirror)
    assert refreshed.history_lost
    assert {str(one.price_per_hour) for one in offers() if one.cloud == "lambda"} == {"0.99"}


# --- the disk, and other processes ---------------------------------------------------------------

LLMBUDGET = [sys.executable, "-c", "from skyserve_llm.cli import main; main()"]


def small_files_only() -> None:
    """No file may grow beyond 24 KiB: the kernel says EFBIG, as on a full disk ENOSPC."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (24 * 1024, 24 * 1024))


def refresh_in_a_process(mirror: Mirror, *before: str, **more: Any) -> tuple[int, str]:
    """The exit code, and what is said on stderr."""
    done = subprocess.run(
        [*before, *LLMBUDGET, "prices", "refresh", "--url", mirror.url],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        **more,
    )
    return done.returncode, done.stderr


def test_a_disk_without_room_for_the_table(mirror: Mirror):
    before, prices = table(), offers()
    code, said = refresh_in_a_process(mirror, preexec_fn=small_files_only)
    error, _, hint = said.partition("\n\n")
    assert code == 5
    assert error.startswith("error: prices were not refreshed: the new table cannot be written to")
    assert error.endswith("those of 2026-11-23 (refreshed) stay in use")
    assert hint.startswith("hint: is there room on the disk?")
    assert (table(), offers()) == (before, prices)
    assert not list(prices_dir().glob("*.draft*"))


def test_a_disk_without_room_for_a_download(mirror: Mirror):
    rows = [A10.format(f"0.{number}") for number in range(1000, 2000)]
    mirror.put("lambda", catalog(*rows))
    before = table()
    code, said = refresh_in_a_process(mirror, preexec_fn=small_files_only)
    assert code == 5
    assert "File too large; those of 2026-11-23 (refreshed) stay in use" in said
    assert table() == before


FULL_DISK = 'mount -t tmpfs -o size=100k none "$LLMBUDGET_HOME" || exit 77; exec "$@"'
OWN_MOUNTS = ("unshare", "--user", "--map-root-user", "--mount")


def test_a_disk_that_is_full(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if not shutil.which("unshare") or subprocess.run([*OWN_MOUNTS, "true"], check=False).returncode:
        pytest.skip("no disk of our own may be mounted here")
    (tmp_path / "small").mkdir()
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "small"))
    code, said = refresh_in_a_process(mirror, *OWN_MOUNTS, "sh", "-c", FULL_DISK, "sh")
    if code == 77:
        pytest.skip("no disk of our own may be mounted here")
    assert code == 5
    assert "prices were not refreshed: the new table cannot be written" in said
    assert "full; those of 2026-11-23 stay in use" in said


def test_a_home_that_cannot_be_written(mirror: Mirror, tmp_path: Path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "file"))
    with pytest.raises(RefreshError, match=r"cannot write to .*Not a directory; those of 2026"):
        refresh(mirror)


def test_two_refreshes_at_once(mirror: Mirror):
    lambda_answers(mirror, server.late)
    with subprocess.Popen(
        [*LLMBUDGET, "prices", "refresh", "--url", mirror.url, "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as first:
        while not mirror.times_asked("lambda"):
            assert first.poll() is None
        fails_while_other_runs(mirror)
        mirror.released.set()
        _, complaint = first.communicate(timeout=60)
    assert (first.returncode, complaint) == (0, b"")
    assert {str(one.price_per_hour) for one in offers() if one.cloud == "lambda"} == {"0.99"}


def fails_while_other_runs(mirror: Mirror) -> None:
    with pytest.raises(RefreshError) as caught:
        refresh(mirror)
    assert caught.value.message == (
        "prices were not refreshed: another refresh is under way; "
        "those of 2026-11-23 (refreshed) stay in use"
    )


def test_a_refresh_that_is_interrupted(mirror: Mirror):
    before = table()
    lambda_answers(mirror, server.silent)
    with subprocess.Popen(
        [*LLMBUDGET, "prices", "refresh", "--url", mirror.url], stderr=subprocess.PIPE, text=True
    ) as first:
        while not mirror.times_asked("lambda"):
            assert first.poll() is None
        first.send_signal(signal.SIGINT)
        _, said = first.communicate(timeout=60)
    assert (first.returncode, said.strip()) == (130, "error: interrupted")
    assert table() == before
    assert not (prices_dir() / "incoming").exists()


def test_a_refresh_that_is_killed_leaves_nothing_in_the_way(mirror: Mirror):
    before = table()
    lambda_answers(mirror, server.silent)
    with subprocess.Popen([*LLMBUDGET, "prices", "refresh", "--url", mirror.url]) as first:
        while not mirror.times_asked("lambda"):
            assert first.poll() is None
        first.kill()
    assert table() == before
    assert (prices_dir() / "incoming").exists()
    refresh(mirror)
    assert not (prices_dir() / "incoming").exists()
    assert {str(one.price_per_hour) for one in offers() if one.cloud == "lambda"} == {"0.99"}
