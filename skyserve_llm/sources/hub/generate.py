"""``models.json`` → ``specs.json``: run it after either the facts or their meaning changed.

python -m skyserve_llm.sources.hub.generate
"""

import json
from pathlib import Path
from typing import Any

from skyserve_llm.sources.model.spec import model_spec

_FOLDER = Path(__file__).parent


def specs() -> str:
    """The text of ``specs.json``: for each model its names, and its spec field by field."""
    lines = []
    for record in json.loads(_FOLDER.joinpath("models.json").read_text(encoding="utf-8")):
        spec = model_spec(
            record["config"], model_id=record["id"], source=f"bundled: {record['source']}"
        )
        names = [record["id"], *record["aliases"]]
        lines.append(json.dumps([names, _plain(spec)], ensure_ascii=False))
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _plain(value: Any) -> Any:
    """A noun as a list that begins with its name."""
    if not isinstance(value, tuple):
        return value
    name = [f"!{type(value).__name__}"] if hasattr(value, "_fields") else []
    return [*name, *map(_plain, value)]


if __name__ == "__main__":
    _FOLDER.joinpath("specs.json").write_text(specs(), encoding="utf-8")
