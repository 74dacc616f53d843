"""A local folder as a repository."""

import json
from pathlib import Path
from typing import Any

from skyserve_llm.errors import InputError
from skyserve_llm.sources.hub.facts import read_facts, spec_from_facts
from skyserve_llm.sources.hub.safetensors import read_header
from skyserve_llm.sources.model.tensors import Tensor
from skyserve_llm.types import ModelSpec


class Folder:
    """The files under ``path``, as huggingface_hub downloads them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return str(self._path)

    def files(self) -> list[str]:
        return [f.relative_to(self._path).as_posix() for f in self._path.rglob("*.*")]

    def json(self, path: str) -> dict[str, Any]:
        return read_json(self._path / path)

    def read(self, path: str, start: int, stop: int) -> bytes:
        file = self._path / path
        try:
            with file.open("rb") as stream:
                stream.seek(start)
                return stream.read(stop - start)
        except OSError as error:
            raise InputError(f"cannot read {file}: {error.strerror}") from error

    def safetensors(self, paths: list[str]) -> list[Tensor]:
        return [tensor for path in paths for tensor in read_header(self._path / path)]


def folder_model(path: Path) -> ModelSpec:
    """Read a folder; with weights in it, their headers too.

    Raises:
        InputError: no config, or one that cannot be used, or weights of another model.
    """
    facts = read_facts(Folder(path))
    return spec_from_facts(facts, model_id=str(path), source=f"folder: {path}")


def file_model(path: Path) -> ModelSpec:
    """Read one GGUF file.

    Raises:
        InputError: it is not there, or no GGUF file of a model that we know.
    """
    facts = read_facts(_OneFile(path))
    return spec_from_facts(facts, model_id=str(path), source=f"file: {path}")


class _OneFile(Folder):
    """A single file as a repository."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.parent)
        self._file = path.name

    def files(self) -> list[str]:
        return [self._file]


def read_json(file: Path) -> dict[str, Any]:
    """The object of fields that ``file`` holds."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"{file} is not valid JSON: {error}", hint="download the file again"
        ) from error
    if not isinstance(raw, dict):
        raise InputError(f"{file} holds {type(raw).__name__}, not an object of fields")
    return raw
