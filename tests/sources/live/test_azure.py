"""Azure's prices of today, from a loopback server that pages as the Retail Prices API does."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from skyserve_llm.cli import run
from skyserve_llm.errors import RefreshError
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.live import azure
from skyserve_llm.sources.live.machines import Answer, Cloud, Machine
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.refresh.fetch import Limits
from skyserve_llm.types import Market, Offer

TODAY = date(2026, 11, 23)
A100, T4 = "Standard_NC24ads_A100_v4", "Standard_NC4as_T4_v3"
KNOWN = Cloud(
    id="azure",
    machines={
        A100: Machine("A100-80GB-PCIe", "A100-80GB", "1"),
        T4: Machine("T4", "T4", "1"),
    },
    regions=frozenset({"eastus"}),
    zones=frozenset(),
)
QUICK = Limits(silence_seconds=2, tries=2, pause_seconds=0.001)


def item(machine: str, tier: str = "", **changes: object) -> dict[str, object]:
    """An item as the API gives it; ``tier`` is '', ' Spot' or ' Low Priority'."""
    name = machine.removeprefix("Standard_").replace("_", " ")
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": 3.673,
        "unitPrice": 3.673,
        "armRegionName": "eastus",
        "location": "US East",
        "effectiveStartDate": "2026-07-01T00:00:00Z",
        "meterName": name + tier,
        "productName": "Virtual Machines NCads A100 v4 Series",
        "skuName": name + tier,
        "serviceName": "Virtual Machines",
        "serviceFamily": "Compute",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": machine,
        **changes,
    }


class RetailPrices(BaseHTTPRequestHandler):
    """Two items a page, the next page's address in ``NextPageLink``."""

    items: tuple[dict[str, object], ...] = ()
    asked: list[dict[str, str]]
    busy = 0
    body: bytes | None = None
    content_type = "application/json; charset=utf-8"
    next_host: str | None = None
    endless = False

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.asked.append(query)
        if type(self).busy:
            type(self).busy -= 1
            self._answer(429, b"{}")
            return
        self._answer(200, self.body if self.body is not None else self._page(query))

    def _page(self, query: dict[str, str]) -> bytes:
        found = re.search(r"armSkuName eq '([^']+)'", query["$filter"])
        assert found
        matching = [one for one in self.items if one["armSkuName"] == found[1]]
        start = int(query.get("$skip", 0))
        following = start + 2 < len(matching) or self.endless
        host = self.next_host or f"http://127.0.0.1:{self.server.server_address[1]}"
        link = f"{host}/prices?$filter={quote(query['$filter'])}&$skip={start + 2}"
        page: dict[str, Any] = {
            "BillingCurrency": "USD",
            "Items": matching[start : start + 2],
            "NextPageLink": link if following else None,
            "Count": 2,
        }
        return json.dumps(page).encode()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", self.content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # one failure ends the other questions
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[tuple[type[RetailPrices], str]]:
    handler = type("Handler", (RetailPrices,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield handler, f"http://127.0.0.1:{server.server_port}/prices"
        server.shutdown()
        thread.join()


def fetch(url: str, **options: Any) -> Answer:
    return azure.fetch(KNOWN, TODAY, lambda _: None, url=url, limits=QUICK, **options)


def told(answer: Answer) -> list[tuple[str, str, str, str]]:
    return [(row[1], row[3], row[7], row[8]) for row in answer.rows]


def test_on_demand_and_spot_of_linux_out_of_all_pages(
    api: tuple[type[RetailPrices], str],
) -> None:
    server, url = api
    windows = "Virtual Machines NCads A100 v4 Series Windows"
    server.items = (
        item(A100),
        item(A100, productName=windows, retailPrice=4.777),
        item(A100, " Spot", retailPrice=0.7346),
        item(A100, " Spot", productName=windows, retailPrice=0.9),
        item(A100, " Low Priority", retailPrice=0.5),
        item(A100, armRegionName="westeurope", retailPrice=4.777),
        item(A100, type="DevTestConsumption", retailPrice=0.1),
        item(A100, currencyCode="EUR", retailPrice=0.1),
        item(A100, unitOfMeasure="1 Month", retailPrice=0.1),
        item(A100, armRegionName="northeurope", retailPrice=0),
        item(A100, armRegionName="", retailPrice=1),
        item(T4, retailPrice=0.526),
    )
    answer = fetch(url)
    assert told(answer) == [
        ("eastus", A100, "0", "3.673"),
        ("eastus", A100, "1", "0.7346"),
        ("westeurope", A100, "0", "4.777"),
        ("eastus", T4, "0", "0.526"),
    ]
    assert answer.rows[0][4:7] == ["A100-80GB-PCIe", "A100-80GB", "1"]
    assert answer.rows[0][9:] == ["2026-11-23", "azure-retail"]
    # Six pages of A100s, one of T4s.
    assert len(server.asked) == 7
    assert server.asked[0]["api-version"] == azure.API_VERSION
    assert all("serviceName eq 'Virtual Machines'" in one["$filter"] for one in server.asked)


def test_an_answer_replaces_what_the_table_has_of_its_regions(
    api: tuple[type[RetailPrices], str],
) -> None:
    server, url = api
    server.items = (item(A100), item(A100, armRegionName="westeurope"))
    everywhere, here = fetch(url), fetch(url, regions=["eastus"])
    assert told(here) == [("eastus", A100, "0", "3.673")]
    east, west, aws = ["azure", "eastus"], ["azure", "westus"], ["aws", "eastus"]
    assert [everywhere.covers(row) for row in (east, west, aws)] == [True, True, False]
    assert [here.covers(row) for row in (east, west, aws)] == [True, False, False]


def test_a_busy_server_is_asked_again(api: tuple[type[RetailPrices], str]) -> None:
    server, url = api
    server.items, server.busy = (item(A100),), 1
    assert len(fetch(url).rows) == 1
    server.busy = 99
    with pytest.raises(RefreshError, match="429"):
        fetch(url)


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"<html>sign in</html>", "text/html", "web page"),
        (b'{"Items": [', "application/json", "no page of Azure's price list"),
        (b"[]", "application/json", "no page of Azure's price list"),
        (b'{"Items": 3, "NextPageLink": null}', "application/json", "no page of Azure's"),
        (b'{"Count": 0}', "application/json", "no page of Azure's price list"),
        (b"\xff\xfe", "application/json", "no page of Azure's price list"),
        (b'{"Items": ["x"], "NextPageLink": null}', "application/json", "no page of Azure's"),
        (
            b'{"Items": [{"retailPrice": "free"}], "NextPageLink": null}',
            "application/json",
            "no page of Azure's",
        ),
        (b'{"Items": [], "NextPageLink": "http://[::"}', "application/json", "to no address"),
        (b'{"Items": [], "NextPageLink": 3}', "application/json", "no page of Azure's"),
    ],
)
def test_anything_else_is_one_clear_line(
    api: tuple[type[RetailPrices], str], body: bytes, content_type: str, said: str
) -> None:
    server, url = api
    server.body, server.content_type = body, content_type
    with pytest.raises(RefreshError, match=re.escape(said)):
        fetch(url)


def test_a_page_that_points_elsewhere_is_not_followed(
    api: tuple[type[RetailPrices], str],
) -> None:
    server, url = api
    server.items, server.next_host = (item(A100),) * 3, "http://elsewhere.example"
    with pytest.raises(RefreshError, match=r"points to elsewhere\.example"):
        fetch(url)


def test_a_list_without_end_is_given_up(
    api: tuple[type[RetailPrices], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azure, "MOST_PAGES", 5)
    server, url = api
    server.endless = True
    with pytest.raises(RefreshError, match="more than 5 pages"):
        fetch(url)


# --- the command -------------------------------------------------------------------------------


def offers() -> list[Offer]:
    return load_offers(Market(clouds=("azure",), every_place=True), load_gpus())[0]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path))
    return tmp_path


def test_the_command_lays_todays_prices_over_the_table(
    api: tuple[type[RetailPrices], str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, url = api
    server.items = (item(A100), item(A100, " Spot", retailPrice=0.7346))
    (home / "config.toml").write_text(f'[refresh]\nazure_prices_url = "{url}"\n', encoding="utf-8")
    assert run(["prices", "live", "azure"]) == 0
    assert capsys.readouterr().out.startswith("2 of azure are of today")
    found = offers()
    assert [(one.source, one.spot) for one in found] == [
        ("azure-retail", False),
        ("azure-retail", True),
    ]
    assert {one.as_of for one in found} == {datetime.now(UTC).date()}
    # The undated tenths of on-demand are gone; a fifth of it, of today, is a price to trust.
    assert not found[1].suspect


def test_no_price_at_all_leaves_the_table_as_it_was(
    api: tuple[type[RetailPrices], str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, url = api
    (home / "config.toml").write_text(f'[refresh]\nazure_prices_url = "{url}"\n', encoding="utf-8")
    before = offers()
    assert run(["prices", "live", "azure"]) == 5
    assert "azure has no price for any machine" in capsys.readouterr().err
    assert offers() == before
