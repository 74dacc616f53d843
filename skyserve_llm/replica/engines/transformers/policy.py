"""Whether a model may run here as asked: code from its repository, its context, its weights.

Pure rules on a config as it lies in the repository, read before any of the repository's code
runs. Knows no torch.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

from skyserve_llm.replica.engines.transformers import is_commit
from skyserve_llm.replica.errors import StartError

Config = Mapping[str, Any]


def check_remote_code(
    model: str,
    config: Config,
    tokenizer_config: Config,
    *,
    known_types: Container[str],
    is_folder: bool,
    trust: bool,
    revision: str | None,
    code_revision: str | None,
) -> bool:
    """Whether code from the model's repository will run.

    ``known_types`` are the model types that the library itself implements. A folder on this
    machine needs no revision: its code is what lies there.

    Raises:
        StartError: the model cannot do without, and nobody said that it may; or what it would
            run may be other code tomorrow.
    """
    code = [*_code_of(config), *_code_of(tokenizer_config)]
    needed = any(_code_of(config)) and config.get("model_type") not in known_types
    if needed and not trust:
        raise StartError(
            f"{model} runs code from its repository ({code[0]}), which nobody trusted yet",
            hint="read that code, then start with --trust-remote-code and, for a model of the "
            "hub, --revision with the commit that you read",
        )
    if not (code and trust):
        return False
    elsewhere = next((place for place in code if "--" in place), None)
    if elsewhere is not None and code_revision is None:
        raise StartError(
            f"{model} runs code from another repository ({elsewhere}), of no stated commit",
            hint="--code-revision COMMIT pins it",
        )
    if not is_folder and not is_commit(revision):
        raise StartError(
            f"--trust-remote-code needs --revision with a whole commit id, not "
            f"{revision or 'the newest'}: a branch may hold other code tomorrow",
            hint="the model's page on the hub lists its commits under 'Files'",
        )
    return True


def _code_of(config: Config) -> Iterator[str]:
    """``module.Class`` or ``owner/name--module.Class`` of everything that the config maps."""
    for places in (config.get("auto_map") or {}).values():
        for place in places if isinstance(places, list) else [places]:
            if place:
                yield str(place)


def context_length(model: str, own_limit: int | None, asked: int | None) -> int:
    """Tokens that a prompt and its answer may have together.

    Raises:
        StartError: more than the model can, or nobody knows how many it can.
    """
    if asked is None and own_limit is None:
        raise StartError(
            f"the config of {model} names no context length", hint="state it with --max-model-len"
        )
    if asked is not None and own_limit is not None and asked > own_limit:
        raise StartError(f"--max-model-len {asked} is more than {model} can: {own_limit}")
    length = asked or own_limit
    assert length is not None
    return length


def check_quantization(config: Config, quantization: str | None) -> None:
    """Raise StartError for a checkpoint that is quantized already."""
    stored = config.get("quantization_config")
    if quantization is not None and stored:
        raise StartError(
            f"--quantization {quantization} on a checkpoint that is quantized already, "
            f"with {stored.get('quant_method', 'a method that it does not name')}"
        )
