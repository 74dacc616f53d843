"""Where llmbudget keeps what it must remember: ``$LLMBUDGET_HOME``, default ``~/.llmbudget``.

plan.json            the plan last made
ledger.sqlite        what ran and what it cost
models/              what the Hub told of models, with its date
services/<name>/     spec, state and logs of each local service; the YAML of each SkyPilot one
"""

import os
from pathlib import Path


def home() -> Path:
    return Path(os.environ.get("LLMBUDGET_HOME") or Path.home() / ".llmbudget")


def plan_path() -> Path:
    return home() / "plan.json"


def ledger_path() -> Path:
    return home() / "ledger.sqlite"


def models_dir() -> Path:
    return home() / "models"


def services_dir() -> Path:
    return home() / "services"


def service_dir(name: str) -> Path:
    return services_dir() / name
