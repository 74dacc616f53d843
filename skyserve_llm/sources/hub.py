"""A model's name → ``ModelSpec``: a local folder with a ``config.json``, or a bundled model.

The bundled table (``models.json``: one model a line, configs by their present field names, each
with its source) answers offline and at once. Knows where facts lie; ``model_spec`` knows what
they mean.
"""

import json
from pathlib import Path
from typing import Any

from skyserve_llm.errors import InputError
from skyserve_llm.sources.model_spec import model_spec
from skyserve_llm.types import ModelSpec

_BUNDLED = Path(__file__).with_name("models.json")


def load_model(name: str) -> ModelSpec:
    """Find ``name``: a folder if it is one (or looks like one), else a bundled model's id.

    Raises:
        InputError: no such folder or model, or a config that cannot be used.
    """
    path = Path(name).expanduser()
    if path.is_dir() or name.startswith((".", "/", "~")):
        return _from_folder(path)
    for record in _bundled():
        if name.lower() in _names(record):
            return model_spec(
                record["config"],
                model_id=name if name in record["aliases"] else record["id"],
                source=f"bundled: {record['source']}",
                vision_parameters=record.get("vision_parameters", 0),
            )
    raise _unknown(name)


def bundled_models() -> list[ModelSpec]:
    """Every bundled model, in the table's order."""
    return [load_model(record["id"]) for record in _bundled()]


def _bundled() -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(_BUNDLED.read_text(encoding="utf-8"))
    return records


def _names(record: dict[str, Any]) -> set[str]:
    return {name.lower() for name in (record["id"], *record["aliases"])}


def _from_folder(path: Path) -> ModelSpec:
    file = path / "config.json"
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"no config.json in {path}",
            hint="give a folder as huggingface_hub downloads it, or the id of a bundled model",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"{file} is not valid JSON: {error}", hint="download the file again"
        ) from error
    if not isinstance(raw, dict):
        raise InputError(f"{file} holds {type(raw).__name__}, not an object of fields")
    return model_spec(raw, model_id=str(path), source=f"folder: {file}")


def _unknown(name: str) -> InputError:
    import difflib  # only ever needed to word an error

    known = [alias for record in _bundled() for alias in (record["id"], *record["aliases"])]
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "give a folder that holds a config.json"
    return InputError(f"unknown model '{name}'", hint=hint)
