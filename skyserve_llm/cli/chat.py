"""`llmbudget chat`."""

import os
import sys
from collections.abc import Sequence

import click

from skyserve_llm.cli import options, output, services
from skyserve_llm.errors import BackendError, InputError
from skyserve_llm.service.client import Message, served_model, stream_chat


@click.command("chat")
@click.argument("prompt", required=False)
@click.option("-s", "--service", help="Which service [the only one running].")
@click.option("--endpoint", help="An OpenAI-compatible server, instead of a service of ours.")
@click.option("--max-tokens", type=options.POSITIVE, help="Stop the answer after so many tokens.")
def command(
    prompt: str | None, service: str | None, endpoint: str | None, max_tokens: int | None
) -> None:
    """Ask PROMPT and stream the answer; without one, hold a conversation.

    The key, where the service has one, is read from LLMBUDGET_API_KEY.
    """
    key = os.environ.get("LLMBUDGET_API_KEY", "").split(",")[0] or None
    url, model = (endpoint, None) if endpoint else _service(service)
    if model is None:
        model = served_model(url, api_key=key)
    if prompt is None and not sys.stdin.isatty():
        prompt = sys.stdin.read().strip()
        if not prompt:
            raise InputError("nothing to ask", hint='llmbudget chat "your question"')
    if prompt is not None:
        _ask(url, model, [{"role": "user", "content": prompt}], key, max_tokens)
        return
    _converse(url, model, key, max_tokens)


def _service(name: str | None) -> tuple[str, str | None]:
    """The endpoint and model of a service. Asking it for its model would take a replica's turn."""
    status = services.the_service(name)
    if status.endpoint is None:
        raise BackendError(
            f"{status.name} has no endpoint yet ({status.state})",
            hint=f"`llmbudget status {status.name}` shows how far it is",
        )
    return status.endpoint, status.model


def _ask(
    url: str, model: str, messages: Sequence[Message], key: str | None, max_tokens: int | None
) -> str:
    said = []
    replica = None
    for delta in stream_chat(url, model, messages, api_key=key, max_tokens=max_tokens):
        replica = delta.replica
        said.append(delta.text)
        output.text(delta.text, newline=False)
    output.text("")
    if replica:
        output.progress(f"(answered by replica {replica})")
    return "".join(said)


def _converse(url: str, model: str, key: str | None, max_tokens: int | None) -> None:
    output.progress(f"talking to {model} at {url}; an empty line or Ctrl-D ends it")
    messages: list[Message] = []
    while True:
        try:
            prompt = click.prompt(
                "you", prompt_suffix="> ", default="", show_default=False, err=True
            )
        except click.Abort:
            output.progress("")
            return
        if not prompt.strip():
            return
        messages.append({"role": "user", "content": prompt})
        messages.append(
            {"role": "assistant", "content": _ask(url, model, messages, key, max_tokens)}
        )
