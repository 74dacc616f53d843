"""Server-sent events as they pass by: when a token came, how much text there was, last words.

Pure: bytes in, facts or bytes out.
"""

import json

from skyserve_llm.replica.asgi import error_body

# A comment in the event stream format: clients skip it, proxies see a living connection.
KEEP_ALIVE_COMMENT = b": keep-alive\n\n"
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n")
_TEXT_KEYS = (b'"content":"', b'"text":"')
# Longer than any event of a token. What is longer is passed on, but not looked into.
_LONGEST_EVENT = 1 << 20


class StreamTally:
    """How many events a stream has had, and how many characters of text in all."""

    def __init__(self) -> None:
        self._rest = b""
        self.events = 0
        self.characters = 0

    @property
    def between_events(self) -> bool:
        """Whether what was sent last ended an event: only then may another one begin."""
        return not self._rest

    def feed(self, chunk: bytes) -> bool:
        """Look at the next bytes; whether an event with data ended in them."""
        if self._rest:
            chunk = self._rest + chunk
        if not chunk.endswith(_EVENT_ENDS):
            self._rest = chunk[-_LONGEST_EVENT:]
            return False
        self._rest = b""
        if chunk.startswith(b"data:") and chunk.find(b"\n") == len(chunk) - 2:
            self.events += 1  # one event of one line, as servers send each token
            self.characters += _characters(chunk)
            return True
        before = self.events
        for line in chunk.splitlines():
            if line.startswith(b"data:"):
                self.events += 1
                self.characters += _characters(line)
        return self.events > before


def _characters(line: bytes) -> int:
    """The text in one chunk of OpenAI's streams, chat or completion; 0 for anything else.

    Nearly every line has one text and no escape in it, and needs no JSON reader: this is done
    for each token that passes.
    """
    for key in _TEXT_KEYS:
        start = line.find(key)
        if start >= 0:
            start += len(key)
            text = line[start : line.find(b'"', start)]
            if b"\\" in text or line.find(key, start) >= 0:
                return _characters_of_json(line)
            return len(text) if text.isascii() else len(text.decode("utf-8", "replace"))
    return _characters_of_json(line) if b'"choices"' in line else 0


def _characters_of_json(line: bytes) -> int:
    try:
        choices = json.loads(line.removeprefix(b"data:"))["choices"]
        return sum(len(_text(choice)) for choice in choices)
    except (ValueError, KeyError, TypeError, AttributeError):
        return 0


def _text(choice: dict[str, object]) -> str:
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else choice.get("text")
    return text if isinstance(text, str) else ""


def cut_event(tally: StreamTally, *, request_id: str, reason: str) -> bytes:
    """The last event of a stream that had to end: what its client needs to go on elsewhere.

    OpenAI's clients raise it as an error. No ``[DONE]`` follows. ``sent_characters`` and
    ``sent_events`` tell a client whether it has all that there was; the text it has, sent as
    the assistant's last message with ``continue_final_message``, goes on where it stopped.
    """
    value = error_body(
        f"The replica is ending ({reason}) and could not finish this answer. Ask again, or"
        " continue it elsewhere from the text that you have.",
        kind="server_error",
        code="replica_draining",
    )
    value["error"] |= {
        "request_id": request_id,
        "reason": reason,
        "sent_events": tally.events,
        "sent_characters": tally.characters,
    }
    opening = b"" if tally.between_events else b"\n\n"
    return opening + b"data: " + json.dumps(value).encode() + b"\n\n"
