"""Hugging Face transformers: the fallback for models that vLLM does not serve.

``policy`` decides what may run, ``loading`` brings the model into memory, ``engine`` answers with
it, ``sampling`` draws the next token. This module holds the flags alone; torch and transformers
are imported when an engine is made.
"""

import argparse
import re
from pathlib import Path

from skyserve_llm.replica.argument_types import whole_number
from skyserve_llm.replica.engines.base import Engine
from skyserve_llm.replica.errors import StartError

DTYPES = ("auto", "half", "float16", "bfloat16", "float", "float32")

QUANTIZATIONS = {"bitsandbytes": 4, "bitsandbytes-4bit": 4, "bitsandbytes-8bit": 8}
"""Bits a weight. vLLM's ``bitsandbytes`` is 4 bits too."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


def add_arguments(parser: argparse._ArgumentGroup) -> None:
    """Flags of this engine, all but ``bitsandbytes-…`` under vLLM's names."""
    add = parser.add_argument
    add("--revision", metavar="COMMIT", help="which of the repository's commits (default: newest)")
    add(
        "--trust-remote-code",
        action="store_true",
        help="run code from the model's repository; needs --revision with a whole commit id",
    )
    add(
        "--code-revision",
        type=_commit,
        metavar="COMMIT",
        help="the same for a model whose code lies in another repository",
    )
    add("--dtype", choices=DTYPES, default="auto", help="of weights (default: the checkpoint's)")
    add(
        "--quantization",
        choices=tuple(QUANTIZATIONS),
        help="quantize the weights while loading, on a GPU (default: as the checkpoint has them)",
    )
    add(
        "--max-num-seqs",
        type=whole_number,
        default=8,
        metavar="N",
        help="answers at a time; further requests wait in line (default: 8)",
    )
    add(
        "--max-model-len",
        type=whole_number,
        metavar="TOKENS",
        help="prompt and answer together (default: the model's own limit)",
    )
    add(
        "--chat-template",
        type=Path,
        metavar="FILE",
        help="Jinja template for conversations (default: the tokenizer's own)",
    )


def create(arguments: argparse.Namespace) -> Engine:
    """An engine from the flags of `add_arguments`; its weights are not loaded yet."""
    try:
        from skyserve_llm.replica.engines.transformers.engine import prepare
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("skyserve_llm"):
            raise
        raise StartError(
            f"the transformers engine needs {missing.name}, which is not installed",
            hint="pip install 'llmbudget[transformers]'",
        ) from None
    return prepare(arguments)


def _commit(text: str) -> str:
    if not is_commit(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a commit id of 40 digits")
    return text


def is_commit(revision: str | None) -> bool:
    """Whether ``revision`` is a whole commit id: a branch or a tag may be moved to other code."""
    return revision is not None and _COMMIT.fullmatch(revision) is not None
