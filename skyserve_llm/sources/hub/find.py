"""The order in which a model's name is looked up."""

from pathlib import Path

from skyserve_llm.errors import InputError
from skyserve_llm.sources.hub.bundled import bundled_model, bundled_names
from skyserve_llm.types import ModelSpec


def load_model(name: str) -> ModelSpec:
    """Find ``name``: a folder if it is one (or looks like one), else a bundled model's id.

    Raises:
        InputError: no such folder or model, or a config that cannot be used.
    """
    path = Path(name).expanduser()
    if path.is_dir() or name.startswith((".", "/", "~")):
        from skyserve_llm.sources.hub.folder import folder_model

        return folder_model(path)
    found = bundled_model(name)
    if found is None:
        raise _unknown(name)
    return found


def _unknown(name: str) -> InputError:
    import difflib  # only ever needed to word an error

    near = difflib.get_close_matches(name, bundled_names(), n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "give a folder that holds a config.json"
    return InputError(f"unknown model '{name}'", hint=hint)
