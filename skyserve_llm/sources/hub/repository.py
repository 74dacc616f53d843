"""What a model's repository must answer, wherever it lies: a folder, or the Hub."""

from typing import Any, Protocol

from skyserve_llm.sources.model.tensors import Tensor


class Repository(Protocol):
    """A model's files. Every method raises InputError where a file cannot be read."""

    @property
    def name(self) -> str:
        """How errors and the user name it."""

    def files(self) -> list[str]:
        """Paths of all files, with ``/`` between folders."""

    def json(self, path: str) -> dict[str, Any]:
        """The object of fields in a small file."""

    def read(self, path: str, start: int, stop: int) -> bytes:
        """Bytes ``start`` to ``stop`` of a file; fewer where it ends before."""

    def safetensors(self, paths: list[str]) -> list[Tensor]:
        """Every tensor that the headers of these files state."""
