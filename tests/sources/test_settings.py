"""The user's config.toml: what it says, and what it is told where it says something wrong."""

from decimal import Decimal
from pathlib import Path

import pytest

from skyserve_llm.errors import InputError
from skyserve_llm.sources.rates import load_rates
from skyserve_llm.sources.settings import Settings, load_settings, narrowed, own_rates
from skyserve_llm.types import Market


def settings(folder: Path, text: str) -> Settings:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def test_without_a_file_everything_is_as_it_is_listed(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "config.toml") == Settings()
    assert settings(tmp_path, "") == Settings()


def test_the_users_home_is_where_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMBUDGET_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text('controller = "consolidated"\n', encoding="utf-8")
    assert load_settings().consolidated


def test_every_key(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        """
        prices = "mine.csv"
        controller = "consolidated"
        [discounts]
        aws = 0.72
        DigitalOcean = 1
        [exclude]
        clouds = ["Vast", "runpod"]
        regions = ["me-central-1"]
        [rates.gcp]
        disk_gib_month = 0.08
        egress_gib = 0
        [refresh]
        catalog_url = "https://mirror.example/v8"
        azure_prices_url = "https://prices.example"
        """,
    )
    assert found == Settings(
        prices=tmp_path / "mine.csv",
        consolidated=True,
        discounts={"aws": Decimal("0.72"), "do": Decimal(1)},
        exclude_clouds=("vast", "runpod"),
        exclude_regions=("me-central-1",),
        rates={"gcp": {"disk_gib_month": Decimal("0.08"), "egress_gib": Decimal(0)}},
        catalog_url="https://mirror.example/v8",
        azure_prices_url="https://prices.example",
    )


def test_the_settings_own_docstring_is_a_valid_file(tmp_path: Path) -> None:
    from skyserve_llm.sources import settings as module

    assert module.__doc__ is not None
    example = module.__doc__.split("\n\n", 1)[1].rsplit("\n\n", 1)[0]
    found = settings(tmp_path, example)
    assert all(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("price = 'x.csv'", "unknown key price"),
        ("[discount]\naws = 0.5", "unknown key discount"),
        ("[exclude]\nzones = []", "unknown key exclude.zones"),
        ("[rates.gcp]\ndisk = 1", "unknown key rates.gcp.disk"),
        ("[refresh]\nurl = 'x'", "unknown key refresh.url"),
        ("prices = 3", "prices: 3 is not a text"),
        ("prices = ''", 'prices: "" is not a text'),
        ("controller = 'none'", 'controller: "none" is neither'),
        ("controller = true", "controller: True is not a text"),
        ("discounts = 0.5", "discounts: 0.5 is not a table"),
        ("[discounts]\naws = '20%'", 'discounts.aws: "20%" is not a number'),
        ("[discounts]\naws = true", "discounts.aws: True is not a number"),
        ("[discounts]\naws = 20", "discounts.aws: 20 is not a factor"),
        ("[discounts]\naws = 0", "discounts.aws: 0 is not a factor"),
        ("[discounts]\naws = nan", "discounts.aws: NaN is not a number"),
        ("[discounts]\nawz = 0.5", "discounts.awz: unknown cloud 'awz'"),
        ("[exclude]\nclouds = 'vast'", 'exclude.clouds: "vast" is not a list'),
        ("[exclude]\nclouds = ['vats']", "exclude.clouds: unknown cloud 'vats'"),
        ("[exclude]\nregions = [1]", "exclude.regions: [1] is not a list of texts"),
        ("rates = 1", "rates: 1 is not a table"),
        ("[rates]\ngcp = 1", "rates.gcp: 1 is not a table"),
        ("[rates.gcp]\negress_gib = -1", "rates.gcp.egress_gib: -1 is not a number"),
        ("[refresh]\ncatalog_url = 1", "refresh.catalog_url: 1 is not a text"),
        ("prices = [", "is not TOML"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_key(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        settings(tmp_path, text)
    assert str(tmp_path / "config.toml") in caught.value.message
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_a_file_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot read"):
        load_settings(path)


def test_what_the_command_line_names_is_wanted() -> None:
    without = Settings(exclude_clouds=("vast",), exclude_regions=("eu-north-1",))
    assert narrowed(Market(), without).exclude_clouds == ("vast",)
    assert narrowed(Market(clouds=("vast",)), without).exclude_clouds == ()
    assert narrowed(Market(clouds=("aws",)), without).exclude_regions == ("eu-north-1",)
    assert narrowed(Market(regions=("eu-north-1",)), without).exclude_regions == ()


def test_own_rates_stand_in_for_listed_ones() -> None:
    listed = load_rates()
    assert own_rates(listed, Settings()) is listed
    own = Settings(
        rates={"gcp": {"egress_gib": Decimal(0)}, "vast": {"disk_gib_month": Decimal("0.2")}}
    )
    merged = own_rates(listed, own)
    assert merged["gcp"].egress_gib == 0
    assert merged["gcp"].disk_gib_month == listed["gcp"].disk_gib_month
    assert merged["gcp"].source.endswith("config.toml")
    assert merged["vast"].disk_gib_month == Decimal("0.2")
    assert merged["vast"].controller_hour is None
    assert merged["aws"] == listed["aws"]
    assert "vast" not in listed
