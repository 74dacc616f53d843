"""The price table as `show` and `check` look at it: every place of every cloud."""

from pathlib import Path
from typing import Any

from skyserve_llm.cli import options
from skyserve_llm.sources.clouds import load_clouds
from skyserve_llm.sources.gpus import load_gpus
from skyserve_llm.sources.offers import load_offers
from skyserve_llm.sources.settings import load_settings, narrowed
from skyserve_llm.types import Market, Offer, PriceSnapshot


def offers_of(values: dict[str, Any]) -> tuple[list[Offer], PriceSnapshot]:
    """What the market options ask for, without what the user's settings exclude."""
    market = narrowed(options.market(values, every_place=True), load_settings())
    return _load(market, values["prices"])


def all_offers(prices: Path | None) -> tuple[list[Offer], PriceSnapshot]:
    """The whole table."""
    return _load(Market(every_place=True), prices)


def _load(market: Market, prices: Path | None) -> tuple[list[Offer], PriceSnapshot]:
    if not market.clouds:
        # A plan leaves out clouds on which SkyServe cannot run; the market has them.
        market = market._replace(clouds=tuple(load_clouds()))
    return load_offers(market, load_gpus(), prices, load_settings())
