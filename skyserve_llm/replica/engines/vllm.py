"""vLLM: its own OpenAI server, unmodified, in this process, with the gate around it.

``MODEL --engine vllm [flag…]`` is ``vllm serve MODEL [flag…]``: what is not the gate's is passed
on as it stands, and vLLM judges it. Nothing but vLLM's command line is imported, because its
server's modules move between releases; the gate gets in by ``--middleware``.
"""

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import skyserve_llm
from skyserve_llm.replica import models
from skyserve_llm.replica.errors import StartError
from skyserve_llm.replica.keys import KEY_VARIABLE

MIDDLEWARE = "skyserve_llm.replica.gate.Gate"

_WAY_ROUND = "the gate cannot stand before it: one HTTP server a replica, on --host and --port"
_REFUSED_FLAGS = {
    "--api-key": f"others can read a command line: set {KEY_VARIABLE} or use --api-key-file",
    "--api-server-count": _WAY_ROUND,
    "-asc": _WAY_ROUND,
    "--data-parallel-multi-port-external-lb": _WAY_ROUND,
    "--grpc": _WAY_ROUND,
    "--grpc-port": _WAY_ROUND,
    "--headless": _WAY_ROUND,
    "--uds": _WAY_ROUND,
}
_REFUSED_VARIABLES = {
    "VLLM_API_KEY": f"the gate checks keys: set {KEY_VARIABLE} in its place",
    "VLLM_USE_RUST_FRONTEND": _WAY_ROUND,
}

_PLUGINS_GROUP = "vllm.general_plugins"


def check(flags: Sequence[str], environ: Mapping[str, str] = os.environ) -> None:
    """Refuse to start without vLLM, or with what would let requests pass beside the gate.

    Raises:
        StartError: vLLM is not installed, or is given a flag or variable that it cannot have here.
    """
    for word in flags:
        for refused, reason in _REFUSED_FLAGS.items():
            if _means(word.partition("=")[0], refused):
                raise StartError(f"{refused} is not passed on to vLLM", hint=reason)
    for name, reason in _REFUSED_VARIABLES.items():
        if environ.get(name, "") not in ("", "0"):
            raise StartError(f"{name} is set", hint=reason)
    if importlib.util.find_spec("vllm") is None:
        raise StartError("vLLM is not installed here", hint="pip install 'llmbudget[vllm]'")


def _means(word: str, flag: str) -> bool:
    """Whether vLLM's parser takes ``word`` for ``flag``: underscores and beginnings do."""
    word = word.replace("_", "-")
    return word == flag or (word.startswith("--") and len(word) > 2 and flag.startswith(word))


def command_line(model: str, flags: Sequence[str], *, host: str, port: int) -> list[str]:
    """The words of ``vllm serve`` around the ``flags`` it is passed."""
    ours = ["--host", host, "--port", str(port)]
    # The gate writes the access log; and it is named last, which is outermost.
    ours += ["--api-server-count", "1", "--disable-uvicorn-access-log", "--middleware", MIDDLEWARE]
    return ["vllm", "serve", model, *flags, *ours]


def serve(model: str, flags: Sequence[str], *, host: str, port: int) -> int:
    """Run ``vllm serve`` until it ends; the exit code. The gate reads its environment."""
    with _networks_announced():
        from vllm.entrypoints.cli.main import main

        sys.argv = command_line(model, flags, host=host, port=port)
        main()
    return 0


@contextlib.contextmanager
def _networks_announced() -> Iterator[None]:
    """Let each of vLLM's processes find our networks, as entry points of an installed package.

    An installed wheel says so itself. A folder on the path, which is what a GPU machine gets,
    has no metadata: it is written beside it, and the path handed on to the processes.
    """
    known = {(point.name, point.value) for point in entry_points(group=_PLUGINS_GROUP)}
    if known.issuperset(models.PLUGINS.items()):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="llmbudget-") as folder:
        info = Path(folder, "llmbudget_networks-0.dist-info")
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: llmbudget-networks\nVersion: 0\n"
        )
        lines = [f"{name} = {value}" for name, value in models.PLUGINS.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{_PLUGINS_GROUP}]", *lines, ""]))
        ours = [folder, str(Path(skyserve_llm.__file__).parents[1])]
        sys.path += ours
        inherited = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([inherited, *ours] if inherited else ours)
        yield
