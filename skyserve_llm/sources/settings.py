"""The user's own terms: ``$LLMBUDGET_HOME/config.toml``.

    prices = "prices.csv"        # own prices, laid over the table; a path beside this file
    controller = "consolidated"  # SkyPilot's API server does its work; "vm" is the default

    [discounts]                  # what is paid of a cloud's listed prices
    aws = 0.72

    [exclude]                    # never planned with, unless named on the command line
    clouds = ["vast"]
    regions = ["me-central-1"]

    [rates.gcp]                  # USD, in place of pricing/extras.csv
    disk_gib_month = 0.08
    egress_gib = 0.02
    controller_hour = 0.10

    [refresh]
    catalog_url = "https://mirror.example/catalogs/v8"
    azure_prices_url = "https://prices.azure.com/api/retail/prices"

An unknown key or a wrong type is one clear line. Knows no price and no table.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from skyserve_llm.errors import InputError
from skyserve_llm.home import config_path

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from skyserve_llm.types import Market, Rate


class Settings(NamedTuple):
    """What the file says; without one, what holds by default.

    ``discounts`` and ``rates`` are by cloud; a rate's amounts by the names of ``types.Rate``.
    """

    prices: Path | None = None
    consolidated: bool = False
    discounts: Mapping[str, Decimal] = {}
    exclude_clouds: tuple[str, ...] = ()
    exclude_regions: tuple[str, ...] = ()
    rates: Mapping[str, Mapping[str, Decimal]] = {}
    catalog_url: str | None = None
    azure_prices_url: str | None = None

    @property
    def price_anything(self) -> bool:
        return self.prices is not None or bool(self.discounts)


def load_settings(path: Path | None = None) -> Settings:
    """The settings in ``path``, by default the user's. Raises InputError naming file and key."""
    path = path or config_path()
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    return _Reader(path, text).settings()


def narrowed(market: Market, settings: Settings) -> Market:
    """The market without what the settings exclude. What the command line names is wanted."""
    return market._replace(
        exclude_clouds=() if market.clouds else settings.exclude_clouds,
        exclude_regions=() if market.regions else settings.exclude_regions,
    )


def own_rates(rates: Mapping[str, Rate], settings: Settings) -> Mapping[str, Rate]:
    """The rates with the user's own in place of what the table says."""
    if not settings.rates:
        return rates
    from skyserve_llm.types import Rate

    merged = dict(rates)
    for cloud, amounts in settings.rates.items():
        listed = rates.get(cloud) or Rate(cloud, None, None, None, as_of=None, source="")
        merged[cloud] = listed._replace(
            disk_gib_month=amounts.get("disk_gib_month", listed.disk_gib_month),
            egress_gib=amounts.get("egress_gib", listed.egress_gib),
            controller_hour=amounts.get("controller_hour", listed.controller_hour),
            source="; ".join(filter(None, (listed.source, "config.toml"))),
        )
    return merged


# --- reading the file --------------------------------------------------------------------------

_KEYS = ("prices", "controller", "discounts", "exclude", "rates", "refresh")
_RATES = ("disk_gib_month", "egress_gib", "controller_hour")


class _Reader:
    """One file's text on its way into ``Settings``; every complaint names file and key."""

    def __init__(self, path: Path, text: str) -> None:
        import tomllib

        self._path = path
        try:
            self._values: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{path} is not TOML: {error}") from error

    def settings(self) -> Settings:
        self._known_keys("", self._values, _KEYS)
        exclude = self._table("exclude", ("clouds", "regions"))
        refresh = self._table("refresh", ("catalog_url", "azure_prices_url"))
        prices = self._text("prices", self._values.get("prices"))
        controller = self._text("controller", self._values.get("controller", "vm"))
        if controller not in ("vm", "consolidated"):
            self._reject("controller", controller, 'is neither "vm" nor "consolidated"')
        clouds = self._texts("exclude.clouds", exclude.get("clouds", []))
        return Settings(
            prices=None if prices is None else self._path.parent / Path(prices).expanduser(),
            consolidated=controller == "consolidated",
            discounts=self._discounts(),
            exclude_clouds=tuple(self._cloud("exclude.clouds", name) for name in clouds),
            exclude_regions=self._texts("exclude.regions", exclude.get("regions", [])),
            rates=self._rates(),
            catalog_url=self._text("refresh.catalog_url", refresh.get("catalog_url")),
            azure_prices_url=self._text(
                "refresh.azure_prices_url", refresh.get("azure_prices_url")
            ),
        )

    def _discounts(self) -> dict[str, Decimal]:
        factors = {}
        for name, value in self._table("discounts").items():
            key = f"discounts.{name}"
            factor = self._amount(key, value)
            if not 0 < factor <= 1:
                self._reject(key, value, "is not a factor above 0 and up to 1 (0.8 pays 80 %)")
            factors[self._cloud(key, name)] = factor
        return factors

    def _rates(self) -> dict[str, dict[str, Decimal]]:
        rates = {}
        for name, value in self._table("rates").items():
            key = f"rates.{name}"
            if not isinstance(value, dict):
                self._reject(key, value, "is not a table of " + ", ".join(_RATES))
            self._known_keys(f"{key}.", value, _RATES)
            rates[self._cloud(key, name)] = {
                rate: self._amount(f"{key}.{rate}", amount) for rate, amount in value.items()
            }
        return rates

    def _table(self, key: str, known: Collection[str] | None = None) -> dict[str, Any]:
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            self._reject(key, value, f"is not a table: write it below [{key}]")
        if known is not None:
            self._known_keys(f"{key}.", value, known)
        return value

    def _known_keys(self, prefix: str, values: Mapping[str, Any], known: Collection[str]) -> None:
        for name in values:
            if name not in known:
                raise InputError(
                    f"{self._path}: unknown key {prefix}{name}",
                    hint=f"known keys: {', '.join(prefix + one for one in known)}",
                )

    def _cloud(self, key: str, name: str) -> str:
        from skyserve_llm.sources.clouds import cloud_id, load_clouds

        known = load_clouds()
        cloud = cloud_id(name)
        if cloud not in known:
            raise InputError(
                f"{self._path}: {key}: unknown cloud {name!r}",
                hint=f"known clouds: {', '.join(known)}",
            )
        return cloud

    def _text(self, key: str, value: Any) -> str | None:
        if value is not None and (not isinstance(value, str) or not value):
            self._reject(key, value, "is not a text in quotes")
        return value

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self._reject(key, value, 'is not a list of texts: ["...", "..."]')
        return tuple(value)

    def _amount(self, key: str, value: Any) -> Decimal:
        number = Decimal(value) if type(value) is int else value
        if not isinstance(number, Decimal) or not number.is_finite() or number < 0:
            self._reject(key, value, "is not a number from 0 up")
        return number

    def _reject(self, key: str, value: Any, why: str) -> NoReturn:
        shown = f'"{value}"' if isinstance(value, str) else str(value)
        raise InputError(f"{self._path}: {key}: {shown} {why}")
