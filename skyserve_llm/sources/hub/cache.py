"""What was learnt of a model on the Hub, kept under ``$LLMBUDGET_HOME/models`` with its date.

A model's commit never changes, so that facts of a commit stay true; those of a branch or a tag
are asked for again after a week. Knows files and dates, nothing of what the facts mean.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from skyserve_llm.home import models_dir
from skyserve_llm.sources.hub.facts import Facts
from skyserve_llm.sources.model.tensors import Checkpoint
from skyserve_llm.types import ParameterCounts

FORMAT = 1
"""Of the files; facts in another are forgotten."""

FRESH = timedelta(days=7)


class Kept(NamedTuple):
    """Facts, and how long ago they were true."""

    facts: Facts
    age: timedelta

    @property
    def fresh(self) -> bool:
        return self.age < FRESH


def keep(model_id: str, revision: str | None, facts: Facts) -> None:
    """Write the facts down, whole or not at all; a home that cannot be written is no error."""
    path = _path(model_id, revision)
    draft = path.with_suffix(".draft")
    checkpoint = facts.checkpoint
    document = {
        "format": FORMAT,
        "as_of": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts._asdict(),
        "checkpoint": checkpoint
        and {**checkpoint._asdict(), "parameters": checkpoint.parameters._asdict()},
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(document), encoding="utf-8")
        draft.replace(path)
    except OSError:
        return


def kept(model_id: str, revision: str | None) -> Kept | None:
    """The facts last learnt; None where there are none, or they cannot be read any more."""
    try:
        document = json.loads(_path(model_id, revision).read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            return None
        as_of = datetime.fromisoformat(document["as_of"])
        found = document["checkpoint"]
        checkpoint = found and Checkpoint(
            parameters=ParameterCounts(**found["parameters"]),
            dtypes=tuple((str(dtype), int(n)) for dtype, n in found["dtypes"]),
            size_bytes=found["size_bytes"],
            modules=tuple(found["modules"]),
            key_value_rows=found["key_value_rows"],
            files=found["files"],
        )
        facts = Facts(
            document["config"], checkpoint, document["max_new_tokens"], document["revision"]
        )
        return Kept(facts, max(datetime.now(UTC) - as_of, timedelta(0)))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _path(model_id: str, revision: str | None) -> Path:
    name = f"{model_id}@{revision}" if revision else model_id
    return models_dir() / f"{re.sub('[/:]', '--', name)}.json"
