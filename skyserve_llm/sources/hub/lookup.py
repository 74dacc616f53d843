"""A model on the Hub: what was learnt before while it is fresh, else asked for anew."""

from collections.abc import Callable
from datetime import timedelta

from skyserve_llm.sources.hub.cache import Kept, keep, kept
from skyserve_llm.sources.hub.facts import read_facts, spec_from_facts
from skyserve_llm.sources.hub.folder import Folder
from skyserve_llm.types import ModelSpec


def hub_model(
    model_id: str,
    *,
    revision: str | None,
    refresh: bool,
    progress: Callable[[str], None],
    kind: str | None = None,
    endpoint: str | None = None,
) -> ModelSpec:
    """The model's spec; its ``source`` says where the facts are from and how old they are.

    ``kind`` names one of several GGUF files.

    Where the Hub cannot be asked, older facts and huggingface_hub's own downloads answer.

    Raises:
        InputError: no such model or revision, no access, or facts that cannot be used.
    """
    name = f"{model_id}:{kind}" if kind else model_id
    known = kept(name, revision)
    if known and known.fresh and not refresh:
        return _spec(name, known)
    # 0.3 s, and only now needed.
    from skyserve_llm.sources.hub.remote import HubRepository, UnreachableError, snapshot_folder

    repository = HubRepository(model_id, revision=revision, endpoint=endpoint, progress=progress)
    try:
        facts = read_facts(repository, revision=repository.commit, kind=kind)
    except UnreachableError as error:
        if known:
            progress(f"{error.message}; using the facts of {age(known.age)}")
            return _spec(name, known)
        folder = snapshot_folder(model_id, revision)
        if folder is None:
            raise
        progress(f"{error.message}; using the download in {folder}")
        facts = read_facts(Folder(folder), revision=folder.name, kind=kind)
        return spec_from_facts(facts, model_id=name, source=f"download: {folder}")
    keep(name, revision, facts)
    return _spec(name, Kept(facts, timedelta(0)))


def _spec(name: str, known: Kept) -> ModelSpec:
    commit = f"@{known.facts.revision[:7]}" if known.facts.revision else ""
    source = f"Hub: {name}{commit}, facts of {age(known.age)}"
    return spec_from_facts(known.facts, model_id=name, source=source)


def age(past: timedelta) -> str:
    """``3 days ago``, in the largest whole unit."""
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60)):
        number = int(past.total_seconds()) // seconds
        if number:
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return "just now"
