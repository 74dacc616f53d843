"""Where llmbudget keeps what it must remember: ``$LLMBUDGET_HOME``, default ``~/.llmbudget``.

config.toml          the user's own settings: prices, discounts, rates
plan.json            the plan last made
prices/              the price table last refreshed, and the catalogs it was made of
models/              what the Hub told of models, with its date
ledger.sqlite        what ran and what it cost
services/<name>/     spec, state and logs of each local service; the YAML of each SkyPilot one
"""

import os
from pathlib import Path


def home() -> Path:
    return Path(os.environ.get("LLMBUDGET_HOME") or Path.home() / ".llmbudget")


def config_path() -> Path:
    return home() / "config.toml"


def plan_path() -> Path:
    return home() / "plan.json"


def prices_dir() -> Path:
    return home() / "prices"


def price_store_path() -> Path:
    return prices_dir() / "table.sqlite"


def ledger_path() -> Path:
    return home() / "ledger.sqlite"


def models_dir() -> Path:
    return home() / "models"


def services_dir() -> Path:
    return home() / "services"


def service_dir(name: str) -> Path:
    return services_dir() / name
