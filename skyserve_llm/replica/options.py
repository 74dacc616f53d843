"""The replica's command line. Knows flags; what they start is in `launch`.

python -m skyserve_llm.replica MODEL --engine simulated --port 8000
python -m skyserve_llm.replica MODEL --engine transformers --and MODEL --engine python …
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from skyserve_llm.replica import argument_types, engines, settings
from skyserve_llm.replica.errors import StartError
from skyserve_llm.replica.keys import KEY_VARIABLE

_PROGRAM = "python -m skyserve_llm.replica"
_AND = "--and"

_EPILOG = f"""\
Each engine has flags of its own: --engine NAME --help lists them. With --engine vllm every flag
that is not listed here is passed to vLLM; `vllm serve --help=all` lists those.

Several models in one process are written one after the other, with {_AND} between them: MODEL
--engine NAME … {_AND} MODEL --engine NAME …; flags of the server belong to the first.

The API key, or several with commas between them, is read from the environment variable
{KEY_VARIABLE} or from --api-key-file, never from the command line. Without one everybody
may send requests. GET /v1/health needs no key.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise StartError(message, hint=f"{self.prog} --help lists the flags")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line as values.

    ``others`` holds those of further models, ``passed_on`` the words that vLLM is to judge.

    Raises:
        StartError: a flag that is wrong.
    """
    first, *rest = _split(sys.argv[1:] if argv is None else argv)
    arguments = _parse_model(first, _add_server_arguments)
    arguments.others = [_parse_model(words) for words in rest]
    if arguments.others and engines.VLLM in (
        each.engine for each in (arguments, *arguments.others)
    ):
        raise StartError("vLLM serves one model in a process", hint="give each its own replica")
    names = [each.served_model_name for each in (arguments, *arguments.others)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise StartError(
            f"two models are served as '{twice}'", hint="--served-model-name gives one another name"
        )
    return arguments


def _split(argv: Sequence[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for word in argv:
        if word == _AND:
            groups.append([])
        else:
            groups[-1].append(word)
    return groups


def _parse_model(
    words: Sequence[str], *more: Callable[[argparse.ArgumentParser], None]
) -> argparse.Namespace:
    # No abbreviations: '--api-key SECRET' must not be taken for --api-key-file.
    parser = _Parser(
        prog=_PROGRAM,
        description="Serve a model on this machine with OpenAI's API.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    for add in (_add_model_arguments, *more):
        add(parser)
    engine = _engine_of(words)
    if engine == engines.VLLM:
        return _parse_for_vllm(parser, words)
    _add_name(parser)
    if engine is not None:
        engines.add_arguments(parser, engine)
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        _refuse(unknown)
    arguments.served_model_name = arguments.served_model_name or arguments.model
    return arguments


def _parse_for_vllm(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    # Which words belong to a flag that is not ours only vLLM knows.
    if words[0].startswith("-") and words[0] not in ("-h", "--help"):
        raise StartError("with --engine vllm the model comes first", hint=f"{_PROGRAM} MODEL …")
    arguments, unknown = parser.parse_known_args(words)
    arguments.passed_on = unknown
    arguments.served_model_name = arguments.model  # for the log; the flag is vLLM's
    return arguments


def _engine_of(words: Sequence[str]) -> str | None:
    """The engine that is asked for: its flags differ from another's under the same names."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--engine", choices=engines.NAMES)
    try:
        known, _ = parser.parse_known_args(words)
    except argparse.ArgumentError:
        return None  # the parser of all flags says what is wrong
    name: str | None = known.engine
    return name


def _refuse(unknown: Sequence[str]) -> None:
    """Name the unknown flags without their values, one of which may be a key."""
    flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
    if "--api-key" in flags:
        hint = f"set {KEY_VARIABLE} or use --api-key-file: others can read a command line"
        raise StartError("a key is not taken from the command line", hint=hint)
    what = f"flags: {', '.join(flags)}" if flags else "words after the model"
    raise StartError(f"unknown {what}", hint=f"{_PROGRAM} --engine NAME --help lists the flags")


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", type=_model, metavar="MODEL", help="Hugging Face id or folder of the model")
    add("--engine", choices=engines.NAMES, required=True, help="what makes the tokens")


def _add_name(parser: argparse.ArgumentParser) -> None:
    text = "name in the API (default: MODEL)"
    parser.add_argument("--served-model-name", type=_model, metavar="NAME", help=text)


def _add_server_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: loopback only)")
    add("--port", type=argument_types.port, default=8000, help="0 takes a free one (default: 8000)")
    add("--api-key-file", type=Path, metavar="FILE", help="API keys, one a line")
    settings.add_arguments(parser.add_argument_group("gate"))


def _model(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a model has a name")
    return text
