"""A model of the hub, or a folder, into memory. Knows files and weights, and no requests."""

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto.tokenization_auto import get_tokenizer_config

from skyserve_llm.replica.engines.transformers import QUANTIZATIONS, policy
from skyserve_llm.replica.errors import StartError

_DTYPES = {"half": torch.float16, "float": torch.float32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model whose config and tokenizer are read, and whose weights are not."""

    model: str
    config: Any
    tokenizer: Any
    max_model_len: int
    dtype: Any
    quantization: str | None
    runs_remote_code: bool
    sources: dict[str, Any]
    """What every ``from_pretrained`` must be told: the commit, and whose code may run."""


def read_checkpoint(arguments: argparse.Namespace) -> Checkpoint:
    """All that can be known of a model in seconds.

    Raises:
        StartError: it cannot be found, read, or run as asked.
    """
    model, commit = arguments.model, {"revision": arguments.revision}
    _check_machine(arguments)
    with _reading(model, "config"):
        raw, _ = transformers.PreTrainedConfig.get_config_dict(model, **commit)
        tokenizer_raw = get_tokenizer_config(model, **commit)
    remote = policy.check_remote_code(
        model,
        raw,
        tokenizer_raw,
        known_types=transformers.CONFIG_MAPPING,
        is_folder=Path(model).is_dir(),
        trust=arguments.trust_remote_code,
        revision=arguments.revision,
        code_revision=arguments.code_revision,
    )
    policy.check_quantization(raw, arguments.quantization)
    sources = {**commit, "trust_remote_code": remote}
    if remote and arguments.code_revision:
        sources["code_revision"] = arguments.code_revision
    with _reading(model, "config"):
        config = transformers.AutoConfig.from_pretrained(model, **sources)
    with _reading(model, "tokenizer"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(model, **sources)
    own_limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    return Checkpoint(
        model=model,
        config=config,
        tokenizer=tokenizer,
        max_model_len=policy.context_length(model, own_limit, arguments.max_model_len),
        dtype=_DTYPES.get(arguments.dtype, arguments.dtype),
        quantization=arguments.quantization,
        runs_remote_code=remote,
        sources=sources,
    )


def _check_machine(arguments: argparse.Namespace) -> None:
    """What can be known before anything is read or downloaded."""
    if arguments.model.startswith(("/", "./", "../")) and not Path(arguments.model).is_dir():
        raise StartError(f"there is no folder {arguments.model}")
    if arguments.quantization is not None and not torch.cuda.is_available():
        raise StartError(
            f"--quantization {arguments.quantization} needs an NVIDIA GPU, and none is visible",
            hint="leave it out, or see what nvidia-smi says",
        )


def load_weights(checkpoint: Checkpoint) -> Any:
    """The model, ready to generate, on the GPUs where there are any.

    Raises:
        StartError: the weights cannot be found, read or held.
    """
    options: dict[str, Any] = {"dtype": checkpoint.dtype, **checkpoint.sources}
    if torch.cuda.is_available():
        options["device_map"] = "auto"  # layers are spread over all cards, the first ones first
    if checkpoint.quantization is not None:
        options["quantization_config"] = _bitsandbytes(checkpoint)
    with _reading(checkpoint.model, "weights"):
        model = transformers.AutoModelForCausalLM.from_pretrained(
            checkpoint.model, config=checkpoint.config, **options
        )
    if not hasattr(model, "generate"):
        raise StartError(f"{checkpoint.model} is no model that generates: {type(model).__name__}")
    if checkpoint.runs_remote_code:
        _restore_unsaved_tensors(model, checkpoint)
    return model.eval()


def _bitsandbytes(checkpoint: Checkpoint) -> Any:
    four_bits = QUANTIZATIONS[checkpoint.quantization or ""] == 4
    # Weights lie in 4 bits and are multiplied in 16: bfloat16 cannot overflow, where it exists.
    compute = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return transformers.BitsAndBytesConfig(
        load_in_4bit=four_bits,
        load_in_8bit=not four_bits,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=compute,
    )


def _restore_unsaved_tensors(model: Any, checkpoint: Checkpoint) -> None:
    """Give a model of foreign code the tensors that it computes itself and no checkpoint holds.

    transformers builds every model on the meta device, where nothing is computed, and afterwards
    lets the model's class fill what was not loaded. Code older than version 5 knows nothing of
    that: rotary frequencies, say, are then whatever the memory held before, with no error. So the
    model is built a second time with real buffers (its parameters stay on the meta device and
    take no memory), and what it computed is copied over.
    """
    import accelerate

    with accelerate.init_empty_weights(include_buffers=False):
        fresh = transformers.AutoModelForCausalLM.from_config(
            checkpoint.config, dtype=model.dtype, trust_remote_code=True
        )
    for name, module in model.named_modules():
        computed = fresh.get_submodule(name)
        for key in module._non_persistent_buffers_set:
            value = computed._buffers[key]
            if value is not None:
                module._buffers[key] = value.to(_device_of(module, model))
        for key, value in vars(module).items():
            if isinstance(value, torch.Tensor) and value.is_meta:
                setattr(module, key, getattr(computed, key).to(_device_of(module, model)))


def _device_of(module: Any, model: Any) -> torch.device:
    """Where a module works; one without weights of its own is asked after the whole model's."""
    owned = next(module.parameters(), None)
    hook = getattr(module, "_hf_hook", None)
    if owned is None and hook is not None and hook.execution_device is not None:
        return torch.device(hook.execution_device)
    return model.device if owned is None else owned.device


@contextlib.contextmanager
def _reading(model: str, what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # Whatever the libraries or the model's own code raise: a replica that cannot start says
        # so in one line.
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise StartError(
            f"cannot read the {what} of {model}: {reason or type(error).__name__}",
            hint="is the name right, the hub reachable, and HF_TOKEN set where it is needed?",
        ) from error
