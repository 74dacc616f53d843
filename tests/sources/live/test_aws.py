"""AWS's spot prices of this moment, from moto's server and from a hand-made EC2 that pages."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs

import pytest

from skyserve_llm.cli import run
from skyserve_llm.errors import InputError, RefreshError
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.live import aws
from skyserve_llm.sources.live.machines import Cloud, Machine
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.types import Market, Offer

TODAY = date(2026, 11, 23)
KNOWN = Cloud(
    id="aws",
    machines={
        "g6.xlarge": Machine("L4", "L4", "1"),
        "p5.48xlarge": Machine("H100", "H100", "8"),
    },
    regions=frozenset({"us-east-1", "us-west-2", "mars-north-1"}),
    zones=frozenset({"use1-az1"}),
)

# Until its stdin closes, which it does with the test run however that ends.
_MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-c", _MOTO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials of nobody, and none of whoever runs the tests."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "home"))


def silent(_: str) -> None:
    pass


def test_every_known_machine_has_a_price_in_the_zones_of_enabled_regions(
    moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    told: list[str] = []
    answer = aws.fetch(KNOWN, TODAY, told.append)
    assert {row[1] for row in answer.rows} == {"us-east-1", "us-west-2"}
    assert {row[3] for row in answer.rows} == set(KNOWN.machines)
    row = next(row for row in answer.rows if row[2] == "use1-az1" and row[3] == "g6.xlarge")
    assert row == [
        "aws", "us-east-1", "use1-az1", "g6.xlarge", "L4", "L4", "1", "1", "0.00001",
        "2026-11-23", "aws-spot-history",
    ]  # fmt: skip
    assert [line.split(":")[0] for line in told] == ["aws/us-east-1", "aws/us-west-2"]
    spot, on_demand = [*row[:7], "1"], [*row[:7], "0"]
    assert answer.covers(spot)
    assert not answer.covers(on_demand)
    assert not answer.covers([*spot[:1], "mars-north-1", *spot[2:]])


def test_zones_are_called_as_the_table_calls_them(
    moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    named = KNOWN._replace(zones=frozenset({"us-east-1a", "us-east-1b"}))
    zones = {row[2] for row in aws.fetch(named, TODAY, silent, regions=["us-east-1"]).rows}
    assert {"us-east-1a", "us-east-1b"} < zones
    assert all(zone.startswith("use1-az") for zone in zones - named.zones)


def test_a_region_that_is_not_enabled_is_said(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    with pytest.raises(InputError, match="none of mars-north-1 is enabled"):
        aws.fetch(KNOWN, TODAY, silent, regions=["mars-north-1"])


def test_without_credentials_there_is_a_hint(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(InputError, match="no AWS credentials") as caught:
        aws.fetch(KNOWN, TODAY, silent)
    assert "aws configure" in (caught.value.hint or "")


def offers() -> list[Offer]:
    return load_offers(Market(clouds=("aws",), every_place=True), load_gpus())[0]


def test_the_command_lays_todays_prices_over_the_table(
    moto: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    before = offers()
    assert run(["prices", "live", "aws", "--region", "us-east-1", "-o", "json"]) == 0
    assert '"live": {"aws": ' in capsys.readouterr().out
    after = offers()

    def here(one: Offer) -> bool:
        return one.region == "us-east-1" and one.spot

    # What AWS did not name again is no longer for sale.
    assert {one.source for one in after if here(one)} == {"aws-spot-history"}
    assert all(one.as_of is not None for one in after if here(one))
    assert [one.price_per_hour for one in after if not here(one)] == [
        one.price_per_hour for one in before if not here(one)
    ]
    # moto's price is a made-up hundred-thousandth of a dollar: kept, and marked.
    assert all("off_market" in one.marks for one in after if here(one))
    assert "aws" in load_clouds()


# --- an EC2 that does what moto does not --------------------------------------------------------

_NAMESPACE = 'xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"'


def price(machine: str, zone: str, usd: str, when: str) -> str:
    return (
        f"<item><instanceType>{machine}</instanceType><availabilityZone>{zone}</availabilityZone>"
        f"<spotPrice>{usd}</spotPrice><timestamp>{when}</timestamp>"
        "<productDescription>Linux/UNIX</productDescription></item>"
    )


ANSWERS = {
    ("DescribeRegions", ""): "<regionInfo><item><regionName>us-east-1</regionName></item>"
    "</regionInfo>",
    ("DescribeAvailabilityZones", ""): "<availabilityZoneInfo>"
    "<item><zoneName>us-east-1a</zoneName><zoneId>use1-az1</zoneId></item>"
    "<item><zoneName>us-east-1b</zoneName><zoneId>use1-az2</zoneId></item></availabilityZoneInfo>",
    ("DescribeSpotPriceHistory", ""): "<spotPriceHistorySet>"
    + price("g6.xlarge", "us-east-1a", "0.300000", "2026-11-23T08:00:00Z")
    + price("g6.xlarge", "us-east-1b", "0.310000", "2026-11-23T08:00:00Z")
    + price("unknown.large", "us-east-1a", "0.01", "2026-11-23T08:00:00Z")
    + "</spotPriceHistorySet><nextToken>more</nextToken>",
    ("DescribeSpotPriceHistory", "more"): "<spotPriceHistorySet>"
    + price("g6.xlarge", "us-east-1a", "0.250000", "2026-11-23T09:00:00Z")
    + price("g6.xlarge", "us-east-1b", "0.9", "2026-11-22T09:00:00Z")
    + price("p5.48xlarge", "us-east-1a", "0.000000", "2026-11-23T09:00:00Z")
    + "</spotPriceHistorySet>",
}


class Ec2(BaseHTTPRequestHandler):
    """Answers in EC2's XML; refuses all when told to."""

    refuse = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        action = form["Action"]
        if self.refuse:
            text = (
                "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not "
                "authorized</Message></Error></Errors></Response>"
            )
        else:
            inner = ANSWERS[action, form.get("NextToken", "")]
            text = f"<{action}Response {_NAMESPACE}>{inner}</{action}Response>"
        self.send_response(403 if self.refuse else 200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Ec2]]:
    handler = type("Handler", (Ec2,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield handler
        server.shutdown()
        thread.join()


def test_all_pages_are_read_and_the_newest_price_holds(ec2: type[Ec2]) -> None:
    rows = aws.fetch(KNOWN, TODAY, silent).rows
    assert [(row[2], row[3], row[8]) for row in rows] == [
        ("use1-az1", "g6.xlarge", "0.25"),
        ("use1-az2", "g6.xlarge", "0.31"),
    ]


def test_a_refusal_is_one_line_that_names_the_permissions(ec2: type[Ec2]) -> None:
    ec2.refuse = True
    with pytest.raises(InputError, match="AWS refused DescribeRegions: UnauthorizedOperation") as e:
        aws.fetch(KNOWN, TODAY, silent)
    assert "ec2:DescribeSpotPriceHistory" in (e.value.hint or "")


def test_an_aws_that_does_not_answer_leaves_the_table_as_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(RefreshError, match="cannot be asked"):
        aws.fetch(KNOWN, TODAY, silent)
    before = offers()
    assert run(["prices", "live", "aws"]) == 5
    error = capsys.readouterr().err.rstrip("\n")
    assert error.startswith("error: aws did not tell its prices: AWS cannot be asked")
    assert error.endswith("those there were stay in use")
    assert "\n" not in error
    assert offers() == before
