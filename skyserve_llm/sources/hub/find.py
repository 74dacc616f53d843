"""The order in which a model's name is looked up.

A folder where the name is one; a bundled model, at once and offline, unless a revision or fresh
facts are asked for; else the Hub, through what was learnt of it before.
"""

from collections.abc import Callable
from pathlib import Path

from skyserve_llm.errors import InputError
from skyserve_llm.sources.hub.bundled import bundled_model, bundled_names
from skyserve_llm.types import ModelSpec


def _silent(line: str) -> None:
    """Progress that nobody wants to see."""


def load_model(
    name: str,
    *,
    revision: str | None = None,
    refresh: bool = False,
    progress: Callable[[str], None] = _silent,
) -> ModelSpec:
    """Find ``name``: a folder or a GGUF file, a bundled model, or one on the Hub.

    On the Hub it is ``owner/name``, with ``@revision`` or, of several GGUF files, ``:Q4_K_M``
    (as vLLM writes it) after it.

    Raises:
        InputError: no such folder or model, no access to it, or facts that cannot be used.
    """
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        from skyserve_llm.sources.hub.folder import file_model

        return file_model(path)
    if path.is_dir() or name.startswith((".", "/", "~")):
        from skyserve_llm.sources.hub.folder import folder_model

        return folder_model(path)
    model_id, at, stated = name.partition("@")
    if at and revision is not None and stated != revision:
        raise InputError(f"{name} and revision '{revision}': which of the two?")
    revision = stated or revision
    model_id, colon, kind = model_id.partition(":")
    if revision is None and not refresh and not colon:
        found = bundled_model(model_id)
        if found is not None:
            return found
    from skyserve_llm.sources.hub.lookup import hub_model

    try:
        return hub_model(
            model_id, revision=revision, refresh=refresh, progress=progress, kind=kind or None
        )
    except InputError as error:
        raise _with_neighbours(error, model_id) from error.__cause__


def _with_neighbours(error: InputError, model_id: str) -> InputError:
    """The same error, whose hint names the bundled models of nearly that name."""
    import difflib  # only ever needed to word an error

    near = difflib.get_close_matches(model_id, bundled_names(), n=3, cutoff=0.7)
    if near and model_id not in near:
        error.hint = f"did you mean {', '.join(near)}?"
    return error
