"""Refreshing prices: from a host over real HTTP, and from a folder."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from skyserve_llm.errors import DataError, InputError, RefreshError
from skyserve_llm.home import price_store_path, prices_dir
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.data import pricing_dir
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.history import read_history
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.price_store import StoredTable
from skyserve_llm.sources.refresh import hosted
from skyserve_llm.sources.refresh.fetch import Limits
from skyserve_llm.sources.refresh.job import Refreshed, refresh_folder, refresh_hosted
from skyserve_llm.types import Market, Offer
from tests.sources.refresh import mirror as server
from tests.sources.refresh.mirror import Mirror, catalog

TODAY = date(2026, 11, 23)
GPUS = load_gpus()
REAL = Path(__file__).parents[1] / "catalogs" / "real"
A10 = "gpu_1x_a10,A10,1,30,200,{},us-east-1,,"
L40S = "gpu-l40s-a_1gpu-8vcpu-32gb,L40S,1,8,32,{},eu-north1,,{}"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path / "home"))


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with server.running() as mirror:
        mirror.put("lambda", catalog(A10.format("0.75")))
        mirror.put("nebius", catalog(L40S.format("1.5", "0.9")))
        yield mirror


def refresh(mirror: Mirror, *clouds: str, today: date = TODAY) -> Refreshed:
    limits = Limits(silence_seconds=5, file_seconds=10, pause_seconds=0.01)
    return refresh_hosted([mirror.url], clouds, today, limits, lambda *_: None)


def states(refreshed: Refreshed) -> dict[str, str]:
    return {one.cloud: one.catalog for one in refreshed.clouds if one.catalog != "none"}


def offers(*clouds: str, path: Path | None = None) -> list[Offer]:
    return load_offers(Market(clouds=clouds, every_place=True), GPUS, path)[0]


def test_a_first_refresh(mirror: Mirror) -> None:
    refreshed = refresh(mirror)
    assert states(refreshed) == {"lambda": "new", "nebius": "new"}
    everyone = {cloud.id for cloud in load_clouds().values() if cloud.catalog}
    assert {one.cloud for one in refreshed.clouds} == everyone
    (offer,) = offers("lambda")
    assert (offer.instance_type, offer.region, offer.gpu) == ("gpu_1x_a10", "us-east-1", "A10")
    assert offer.price_per_hour == Decimal("0.75")
    assert (offer.source, offer.as_of) == ("skypilot-v8-lambda", date(2026, 11, 20))
    # Spot and on-demand of the other, and everything that was there of all the other clouds.
    assert [one.spot for one in offers("nebius")] == [False, True]
    shipped = [
        one
        for one in offers(*load_clouds(), path=pricing_dir() / "offers.csv")
        if one.cloud not in ("lambda", "nebius")
    ]
    kept = [one for one in offers(*load_clouds()) if one.cloud not in ("lambda", "nebius")]
    assert [one[:11] for one in kept] == [one[:11] for one in shipped]
    assert refreshed.prices == len(kept) + 3
    assert load_offers(Market(), GPUS)[1].snapshot == "2026-11-23 (refreshed)"


def test_what_has_not_changed_is_not_downloaded_again(mirror: Mirror) -> None:
    refresh(mirror)
    mirror.asked.clear()
    mirror.put("nebius", catalog(L40S.format("1.4", "0.8")))
    refreshed = refresh(mirror, today=date(2026, 11, 24))
    assert states(refreshed) == {"lambda": "unchanged", "nebius": "new"}
    asked = {path.split("/")[3]: headers for path, headers in mirror.asked}
    assert asked["lambda"]["if-none-match"].startswith('"')
    assert "if-none-match" not in asked["aws"]
    assert [str(one.price_per_hour) for one in offers("lambda", "nebius")] == ["0.75", "1.4", "0.8"]


def test_a_host_that_tells_when_a_catalog_changed_dates_its_prices(mirror: Mirror) -> None:
    answer = server.dated("Tue, 03 Nov 2026 23:30:00 GMT")
    mirror.put("lambda", catalog(A10.format("0.75")), answer, answer)
    refresh(mirror)
    assert states(refresh(mirror))["lambda"] == "unchanged"
    assert [one.as_of for one in offers("lambda")] == [date(2026, 11, 3)]
    first, second = (headers for path, headers in mirror.asked if "/lambda/" in path)
    assert "if-modified-since" not in first
    assert second["if-modified-since"] == "Tue, 03 Nov 2026 23:30:00 GMT"


@pytest.mark.parametrize(
    ("header", "as_of"),
    [
        ("Thu, 31 Dec 2099 00:00:00 GMT", TODAY),  # a host whose clock is ahead of ours
        ("yesterday", date(2026, 11, 20)),  # no date at all: when it answered
    ],
)
def test_a_date_that_cannot_be_true(mirror: Mirror, header: str, as_of: date) -> None:
    mirror.put("lambda", catalog(A10.format("0.75")), server.dated(header))
    refresh(mirror)
    assert [one.as_of for one in offers("lambda")] == [as_of]


def test_a_copy_that_was_tampered_with_is_downloaded_again(mirror: Mirror) -> None:
    refresh(mirror)
    kept = prices_dir() / "catalogs" / "lambda.csv"
    kept.write_bytes(kept.read_bytes().replace(b"0.75", b"0.01"))
    (prices_dir() / "catalogs" / "nebius.json").write_text("{}")
    assert states(refresh(mirror)) == {"lambda": "new", "nebius": "new"}
    assert [str(one.price_per_hour) for one in offers("lambda")] == ["0.75"]


def test_a_copy_of_another_host_is_not_this_hosts(mirror: Mirror) -> None:
    refresh(mirror)
    with server.running() as other:
        other.put("lambda", catalog(A10.format("0.75")))
        assert states(refresh(other)) == {"lambda": "new"}
        assert "if-none-match" not in other.asked[0][1]


def test_a_busy_server_is_asked_again(mirror: Mirror) -> None:
    mirror.put("lambda", catalog(A10.format("0.8")), server.status(500), server.truncated)
    assert states(refresh(mirror))["lambda"] == "new"
    assert mirror.times_asked("lambda") == 3
    assert [str(one.price_per_hour) for one in offers("lambda")] == ["0.8"]


def test_a_refusal_is_final(mirror: Mirror) -> None:
    mirror.put("lambda", b"", server.status(403))
    with pytest.raises(RefreshError, match="403 Forbidden"):
        refresh(mirror)
    assert mirror.times_asked("lambda") == 1


def test_another_host_takes_the_place_of_a_busy_one(mirror: Mirror) -> None:
    with server.running() as busy:
        busy.put("lambda", catalog(A10.format("9.99")), *[server.status(429)] * 3)
        busy.put("nebius", catalog(L40S.format("1.1", "")))
        limits = Limits(pause_seconds=0.01)
        refresh_hosted([busy.url, mirror.url], (), TODAY, limits, lambda *_: None)
        assert busy.times_asked("lambda") == 3
    told = {one.cloud: str(one.price_per_hour) for one in offers("lambda", "nebius")}
    assert told == {"lambda": "0.75", "nebius": "1.1"}
    origins = {one.cloud: one.origin for one in StoredTable(price_store_path(), GPUS).catalogs()}
    assert origins["lambda"] == f"{mirror.url}/v8/lambda/vms.csv"
    assert origins["nebius"] == f"{busy.url}/v8/nebius/vms.csv"


def test_a_body_that_ends_with_the_connection(mirror: Mirror) -> None:
    mirror.put("lambda", catalog(A10.format("0.7")), server.unbounded)
    refresh(mirror)
    assert [str(one.price_per_hour) for one in offers("lambda")] == ["0.7"]


def test_a_compressed_answer(mirror: Mirror) -> None:
    mirror.put("lambda", catalog(A10.format("0.6")), server.compressed)
    refresh(mirror)
    assert [str(one.price_per_hour) for one in offers("lambda")] == ["0.6"]


def test_one_cloud_alone(mirror: Mirror) -> None:
    refresh(mirror)
    mirror.put("lambda", catalog(A10.format("0.5")))
    mirror.put("nebius", catalog(L40S.format("9", "")))
    mirror.asked.clear()
    refreshed = refresh(mirror, "lambda", today=date(2026, 11, 24))
    assert [one.cloud for one in refreshed.clouds] == ["lambda"]
    assert {path for path, _ in mirror.asked} == {"/catalogs/v8/lambda/vms.csv"}
    assert [str(one.price_per_hour) for one in offers("lambda", "nebius")] == ["0.5", "1.5", "0.9"]
    stored = StoredTable(price_store_path(), GPUS)
    assert {one.cloud: one.origin for one in stored.catalogs()} == {
        "lambda": f"{mirror.url}/v8/lambda/vms.csv",
        "nebius": f"{mirror.url}/v8/nebius/vms.csv",
    }


def test_a_cloud_that_is_nowhere_hosted(mirror: Mirror) -> None:
    with pytest.raises(InputError, match="hosts no catalog of kubernetes"):
        refresh(mirror, "kubernetes")


def test_progress_is_told_as_it_comes(mirror: Mirror) -> None:
    told: list[tuple[str, int, int | None]] = []
    refresh_hosted([mirror.url], ("lambda",), TODAY, Limits(), lambda *one: told.append(one))
    size = len(catalog(A10.format("0.75")))
    assert told[-1] == ("lambda", size, size)


@pytest.mark.parametrize("text", ["", "catalogs", "ftp://host/x", "http://", "file:///etc"])
def test_a_url_that_is_none(text: str) -> None:
    with pytest.raises(InputError, match="is no http or https URL"):
        hosted.base_url(text)


def test_a_url_may_name_the_schema_or_not() -> None:
    for text in ("https://h/catalogs", "https://h/catalogs/", "https://h/catalogs/v8/"):
        assert hosted.base_url(text) == "https://h/catalogs/v8"


# --- history -------------------------------------------------------------------------------------


def test_every_refresh_adds_a_day_to_the_history(mirror: Mirror) -> None:
    mirror.put("lambda", catalog(A10.format("1.29")))
    refresh(mirror)
    # A tenth of it is nothing that a trend should show.
    places = {"us-east-1": "1.25", "us-south-1": "1.29", "us-west-1": "0.109"}
    rows = (A10.replace("us-east-1", place).format(usd) for place, usd in places.items())
    mirror.put("lambda", catalog(*rows))
    refresh(mirror, "lambda", today=date(2026, 11, 24))
    refresh(mirror, "lambda", today=date(2026, 11, 24))
    told = [
        (str(one.day), one.cloud, one.gpu, one.spot, str(one.price_per_gpu_hour))
        for one in read_history()
    ]
    assert told == [
        ("2026-11-23", "lambda", "A10", False, "1.29"),
        ("2026-11-23", "nebius", "L40S", False, "1.5"),
        ("2026-11-23", "nebius", "L40S", True, "0.9"),
        ("2026-11-24", "lambda", "A10", False, "1.25"),
    ]
    assert len([one for one in offers("lambda") if one.suspect]) == 1


# --- a folder ------------------------------------------------------------------------------------


def lay_out(folder: Path, *clouds: str) -> Path:
    for cloud in clouds:
        path = folder / "v8" / cloud / "vms.csv"
        path.parent.mkdir(parents=True)
        path.write_bytes((REAL / f"{cloud}.csv").read_bytes())
    return folder


def test_the_catalogs_that_skypilot_left(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "catalogs", "gcp", "vast", "verda")
    refreshed = refresh_folder(folder, (), date(2099, 1, 1))
    assert states(refreshed) == {"gcp": "local", "vast": "local", "verda": "local"}
    assert {one.cloud: (one.rows, one.prices) for one in refreshed.clouds} == {
        "gcp": (7, 8),
        "vast": (7, 6),
        "verda": (3, 5),
    }
    assert refreshed.dropped["TPU: vLLM on it is another program"] == 2
    assert {one.source for one in offers("gcp")} == {"sky-local-v8-gcp"}
    assert min(offers("gcp"), key=lambda one: one.price_per_hour).instance_type == "n1-highmem-4"


def test_only_some_of_them(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "catalogs", "gcp", "vast")
    assert states(refresh_folder(folder, ("vast",), date(2099, 1, 1))) == {"vast": "local"}
    with pytest.raises(InputError, match="no catalog of aws in"):
        refresh_folder(folder, ("aws",), date(2099, 1, 1))


def test_a_broken_catalog_of_ones_own_is_bad_input(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "catalogs", "gcp", "vast")
    (folder / "v8" / "vast" / "vms.csv").write_text("nonsense\n")
    with pytest.raises(DataError) as caught:
        refresh_folder(folder, (), date(2099, 1, 1))
    assert caught.value.message == (
        "prices were not refreshed: vast/vms.csv is no price catalog: no column InstanceType in "
        "its first line, 'nonsense'; those of 2026-11-23 stay in use"
    )
    assert caught.value.exit_code == 2
    assert not price_store_path().exists()


def test_gpuhunts_prices_go_to_the_machines_skypilot_rents(tmp_path: Path) -> None:
    header = "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size"
    lambdalabs = "gpu_1x_a10,us-west-1,1.2,30,214,1,A10,24.0,False,"
    runpod = "NVIDIA A40,CA-MTL-1,0.4,9,48,1,A40,48.0,False,"
    (tmp_path / "lambdalabs.csv").write_text(f"{header}\n{lambdalabs}\n", encoding="utf-8")
    (tmp_path / "runpod.csv").write_text(f"{header}\n{runpod}\n", encoding="utf-8")
    refresh_folder(tmp_path, (), date(2099, 1, 1))
    told = [(one.instance_type, one.accelerator, one.source) for one in offers("lambda", "runpod")]
    assert told == [
        ("gpu_1x_a10", "A10", "gpuhunt-lambdalabs"),
        ("1x_A40_SECURE", "A40", "gpuhunt-runpod"),
    ]
