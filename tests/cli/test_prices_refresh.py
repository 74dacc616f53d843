"""`llmbudget prices refresh` as a user runs it."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skyserve_llm.cli import run
from skyserve_llm.home import config_path
from tests.sources.refresh import mirror as server
from tests.sources.refresh.mirror import Mirror, catalog

PHIXTRAL = "mlabonne/phixtral-4x2_8"
A40 = "1x_A40_SECURE,A40,1,9,48,{},CA,,"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("LLMBUDGET_CATALOG_URL", raising=False)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with server.running() as mirror:
        mirror.put("runpod", catalog(A40.format("0.31")))
        yield mirror


def refresh(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, Any]:
    assert run(["prices", "refresh", *args, "-o", "json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def left_by_skypilot(folder: Path, price: str, age: timedelta = timedelta()) -> None:
    path = folder / ".sky" / "catalogs" / "v8" / "runpod" / "vms.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(catalog(A40.format(price)))
    moment = (datetime.now(UTC) - age).timestamp()
    os.utime(path, (moment, moment))


def planned(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The plan's prices, and what it takes on RunPod."""
    assert run(["plan", PHIXTRAL, "--cloud", "runpod", "--gpus", "A40:1", "-o", "json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_a_plan_uses_the_prices_of_the_last_refresh(mirror, capsys) -> None:
    before = planned(capsys)
    document = refresh(capsys, "--url", mirror.url)
    today = datetime.now(UTC).date().isoformat()
    assert document["snapshot"] == today
    assert document["origin"] == f"{mirror.url}/v8"
    (runpod,) = [one for one in document["clouds"] if one["catalog"] != "none"]
    assert (runpod["cloud"], runpod["rows"], runpod["prices"]) == ("runpod", 1, 1)
    after = planned(capsys)
    assert after["prices"]["snapshot"] == f"{today} (refreshed)"
    (candidate,) = after["candidates"]
    assert candidate["price_per_hour"] == "0.31"
    assert candidate["price_source"] == "skypilot-v8-runpod"
    assert candidate["price_as_of"]
    assert before["prices"]["snapshot"] != after["prices"]["snapshot"]


def test_the_table_tells_each_cloud(mirror, capsys) -> None:
    assert run(["prices", "refresh", "--url", mirror.url]) == 0
    shown, progress = capsys.readouterr()
    assert " runpod " in shown
    assert " new " in shown
    assert f"from {mirror.url}/v8; clouds not listed keep theirs" in shown
    assert progress == ""


def test_a_terminal_sees_the_download_go_on(mirror) -> None:
    ours, theirs = pty.openpty()
    program = "from skyserve_llm.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        program,
        "prices",
        "refresh",
        "--url",
        mirror.url,
        "-o",
        "json",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as child:
        os.close(theirs)
        seen = b""
        with suppress(OSError):  # a terminal that nobody writes to any more
            while chunk := os.read(ours, 4096):
                seen += chunk
        out, _ = child.communicate(timeout=60)
    os.close(ours)
    assert b"runpod" in seen
    assert json.loads(out)["clouds"]


@pytest.mark.parametrize("by", ["environment", "config"])
def test_the_url_is_a_setting(mirror, capsys, monkeypatch, by: str) -> None:
    if by == "environment":
        monkeypatch.setenv("LLMBUDGET_CATALOG_URL", mirror.url)
    else:
        config_path().parent.mkdir()
        config_path().write_text(f'[refresh]\ncatalog_url = "{mirror.url}"\n')
    left_by_skypilot(Path.home(), "0.5")
    assert refresh(capsys)["origin"] == f"{mirror.url}/v8"


def test_what_skypilot_left_is_taken_without_a_download(capsys, tmp_path) -> None:
    left_by_skypilot(tmp_path, "0.29")
    assert run(["prices", "refresh", "-o", "json"]) == 0
    out, said = capsys.readouterr()
    assert json.loads(out)["origin"].endswith("/.sky/catalogs")
    assert "taking the catalogs that SkyPilot left in ~/.sky/catalogs, the newest of" in said
    assert "--download fetches new ones" in said
    assert planned(capsys)["candidates"][0]["price_per_hour"] == "0.29"


def test_old_ones_are_not(tmp_path) -> None:
    from skyserve_llm.cli.prices.refresh import _left_by_skypilot

    today = datetime.now(UTC).date()
    assert _left_by_skypilot(today) is None
    left_by_skypilot(tmp_path, "0.29", age=timedelta(days=9))
    assert _left_by_skypilot(today) is None
    assert _left_by_skypilot(today - timedelta(days=4)) is not None


def test_a_folder_may_be_named(capsys, tmp_path) -> None:
    left_by_skypilot(tmp_path / "elsewhere", "0.27")
    document = refresh(capsys, "--from", str(tmp_path / "elsewhere" / ".sky" / "catalogs"))
    assert [one["catalog"] for one in document["clouds"]] == ["local"]


def test_a_failure_is_one_line_and_the_old_prices_stay(mirror, capsys) -> None:
    refresh(capsys, "--url", mirror.url)
    before = planned(capsys)
    mirror.put("runpod", b"<html>", server.web_page)
    assert run(["prices", "refresh", "--url", mirror.url]) == 5
    out, said = capsys.readouterr()
    assert out == ""
    assert said.startswith(
        "error: prices were not refreshed: runpod/vms.csv: the server sent a web"
    )
    assert said.rstrip().endswith("(refreshed) stay in use")
    assert planned(capsys)["candidates"] == before["candidates"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--from", "/nowhere/at/all"], "/nowhere/at/all is not a folder"),
        (["--url", "not a url"], "'not a url' is no http or https URL"),
        (["--from", ".", "--url", "http://x"], "--from takes catalogs from a folder"),
        (["--cloud", "gpc"], "unknown cloud 'gpc'"),
        (["--timeout", "0"], "Invalid value for '--timeout'"),
    ],
)
def test_mistakes_in_the_command_are_told(capsys, args: list[str], message: str) -> None:
    assert run(["prices", "refresh", *args]) == 2
    assert message in capsys.readouterr().err
