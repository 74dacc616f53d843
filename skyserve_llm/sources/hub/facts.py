"""A repository's files → all that is known of its model, and from there ``ModelSpec``."""

from functools import partial
from typing import Any, NamedTuple

from skyserve_llm.errors import InputError
from skyserve_llm.sources.hub.repository import Repository
from skyserve_llm.sources.hub.weights import safetensors_files
from skyserve_llm.sources.model.config import complete
from skyserve_llm.sources.model.spec import model_spec
from skyserve_llm.sources.model.tensors import Checkpoint, count_checkpoint
from skyserve_llm.sources.registry import nested_defaults
from skyserve_llm.types import ModelSpec
from skyserve_llm.units import count


class Facts(NamedTuple):
    """A model's config, whole; its weights where their headers could be read; its answer's limit.

    ``revision`` is the commit they are of, None where there is none.
    """

    config: dict[str, Any]
    checkpoint: Checkpoint | None
    max_new_tokens: int | None
    revision: str | None = None


def read_facts(
    repository: Repository, *, revision: str | None = None, kind: str | None = None
) -> Facts:
    """Read what a plan needs of a repository: some JSON, and the headers of its weights.

    ``kind`` names one of several GGUF files (``Q4_K_M``).

    Raises:
        InputError: a file is missing or damaged, or says what cannot be.
    """
    present = set(repository.files())
    if kind or ("config.json" not in present and any(f.endswith(".gguf") for f in present)):
        return _gguf_facts(repository, present, revision, kind)
    if "config.json" not in present:
        raise _no_config(repository, present)
    config = dict(complete(repository.json("config.json"), nested_defaults))
    if "quantization_config" not in config and "hf_quant_config.json" in present:
        # ModelOpt before 0.31 wrote a file of its own (vllm/transformers_utils/config.py).
        config["quantization_config"] = {
            "quant_method": "modelopt",
            **repository.json("hf_quant_config.json"),
        }
    files = safetensors_files(repository)
    checkpoint = None
    if files:
        tensors = repository.safetensors(files)
        checkpoint = count_checkpoint(config, tensors, model_id=repository.name, files=len(files))
    return Facts(config, checkpoint, _max_new_tokens(repository, present), revision)


def _gguf_facts(
    repository: Repository, present: set[str], revision: str | None, kind: str | None
) -> Facts:
    from skyserve_llm.sources.hub.gguf import read_header
    from skyserve_llm.sources.hub.gguf_model import gguf_config, gguf_files, gguf_tensors

    files = gguf_files(repository.name, sorted(present), kind)
    headers = [read_header(file, partial(repository.read, file)) for file in files]
    # A model in several files tells of itself in the first.
    first = headers[0]._replace(tensors=[t for header in headers for t in header.tensors])
    config, tensors = gguf_config(files[0], first), gguf_tensors(first)
    checkpoint = count_checkpoint(config, tensors, model_id=repository.name, files=len(files))
    return Facts(config, checkpoint, _max_new_tokens(repository, present), revision)


def spec_from_facts(facts: Facts, *, model_id: str, source: str) -> ModelSpec:
    """Put the facts together; ``source`` gains what the weights' own headers told.

    Raises:
        InputError: a field is missing, impossible or unknown, or config and weights disagree.
    """
    if facts.checkpoint:
        stored = ", ".join(f"{count(n)} {dtype}" for dtype, n in facts.checkpoint.dtypes[:3])
        number = facts.checkpoint.files
        source += f", {stored} in {number} weight file{'s' if number > 1 else ''}"
    return model_spec(
        facts.config,
        model_id=model_id,
        source=source,
        revision=facts.revision,
        weights=facts.checkpoint,
        max_new_tokens=facts.max_new_tokens,
    )


def _max_new_tokens(repository: Repository, present: set[str]) -> int | None:
    """The limit on an answer that vLLM takes from the generation config for every request."""
    if "generation_config.json" not in present:
        return None
    value = repository.json("generation_config.json").get("max_new_tokens")
    if value is not None and (type(value) is not int or value < 1):
        raise InputError(
            f"{repository.name}: field 'max_new_tokens' of generation_config.json is {value!r}, "
            "not a number of tokens"
        )
    return value


def _no_config(repository: Repository, present: set[str]) -> InputError:
    if "adapter_config.json" in present:
        base = repository.json("adapter_config.json").get("base_model_name_or_path")
        return InputError(
            f"{repository.name} holds an adapter, no model of its own",
            hint=f"plan its base model, {base}" if base else "plan its base model",
        )
    return InputError(
        f"no config.json in {repository.name}",
        hint="give a folder as huggingface_hub downloads it, or a model's id on the Hub",
    )
