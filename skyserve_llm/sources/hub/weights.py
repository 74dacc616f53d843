"""Which of a repository's files hold its weights, and what their headers state.

A repository may hold the same weights several times: sharded and in one piece, as Meta or Mistral
first published them (``original/``, ``consolidated.safetensors``), converted for other engines
(``metal/``, ``onnx/``). The choice is vLLM's (``filter_duplicate_safetensors_files`` in
model_executor/model_loader/weight_utils.py): the index's files, else one file, else what lies at
the top.
"""

from skyserve_llm.errors import InputError
from skyserve_llm.sources.hub.repository import Repository

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_FOREIGN = ("consolidated", "adapter_model")


def safetensors_files(repository: Repository) -> list[str]:
    """The safetensors files that a server loads, in order; empty where there are none.

    Raises:
        InputError: the index is damaged, or names files that are not there.
    """
    present = set(repository.files())
    if INDEX in present:
        return _indexed(repository, present)
    if SINGLE in present:
        return [SINGLE]
    top = sorted(name for name in present if name.endswith(".safetensors") and "/" not in name)
    own = [name for name in top if not name.startswith(_FOREIGN)]
    return own or [name for name in top if name.startswith("consolidated")]


def _indexed(repository: Repository, present: set[str]) -> list[str]:
    weight_map = repository.json(INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(f, str) for f in weight_map.values()):
        raise InputError(f"{repository.name}: field 'weight_map' of {INDEX} is no map to files")
    files = sorted(set(weight_map.values()))
    missing = [name for name in files if name not in present]
    if missing:
        raise InputError(
            f"{repository.name}: {INDEX} names {missing[0]}, which is not there",
            hint=f"{len(missing)} of {len(files)} weight files are missing; download them again",
        )
    return files
