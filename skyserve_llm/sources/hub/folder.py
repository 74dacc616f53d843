"""A local folder with a ``config.json`` → ``ModelSpec``."""

import json
from pathlib import Path
from typing import Any

from skyserve_llm.errors import InputError
from skyserve_llm.sources.model.spec import model_spec
from skyserve_llm.types import ModelSpec


def folder_model(path: Path) -> ModelSpec:
    """Read a folder as huggingface_hub downloads it.

    Raises:
        InputError: no config, or one that cannot be used.
    """
    file = path / "config.json"
    return model_spec(read_json(file), model_id=str(path), source=f"folder: {file}")


def read_json(file: Path) -> dict[str, Any]:
    """The object of fields that ``file`` holds."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"no {file.name} in {file.parent}",
            hint="give a folder as huggingface_hub downloads it, or a model's id on the Hub",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"{file} is not valid JSON: {error}", hint="download the file again"
        ) from error
    if not isinstance(raw, dict):
        raise InputError(f"{file} holds {type(raw).__name__}, not an object of fields")
    return raw
