"""A catalog host on loopback: real HTTP, and every way a server can misbehave."""

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HEADER = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,Price,Region,GpuInfo,SpotPrice"
)
DATE = "Fri, 20 Nov 2026 08:00:00 GMT"

Answer = Callable[["Handler", bytes], None]
"""What a server does with one request for a catalog whose content is given."""


def catalog(*rows: str) -> bytes:
    return "\n".join((HEADER, *rows, "")).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Mirror"

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.path, headers))
        content = self.server.catalogs.get(self.path)
        if content is None:
            self.answer(404, b"404: Not Found")
            return
        script = self.server.scripts.get(self.path)
        act = script.pop(0) if script else ok
        with suppress(BrokenPipeError, ConnectionResetError):
            act(self, content)

    def answer(self, status: int, body: bytes, *, length: int | None = None, **more: str) -> None:
        """One answer; the headers given as keywords go on top (``content_type="text/html"``)."""
        headers = {
            "content-type": "text/plain; charset=utf-8",
            "content-length": str(len(body) if length is None else length),
            "date": DATE,
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        self.send_response_only(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if status != 304:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: what was asked is in ``asked``."""


class Mirror(ThreadingHTTPServer):
    """``catalogs`` by path; ``scripts`` what happens to the next requests for a path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.catalogs: dict[str, bytes] = {}
        self.scripts: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.released = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/catalogs"

    def put(self, cloud: str, content: bytes, *script: Answer) -> None:
        path = f"/catalogs/v8/{cloud}/vms.csv"
        self.catalogs[path] = content
        self.scripts[path] = list(script)

    def times_asked(self, cloud: str) -> int:
        return sum(f"/{cloud}/" in path for path, _ in self.asked)


@contextmanager
def running() -> Iterator[Mirror]:
    with Mirror() as mirror:
        thread = threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield mirror
        finally:
            mirror.released.set()
            mirror.shutdown()
            thread.join()


# --- what a server may do ----------------------------------------------------------------------


def ok(handler: Handler, content: bytes) -> None:
    """The catalog with an ETag, or 304 to one who has it."""
    etag = f'"{sha256(content).hexdigest()[:16]}"'
    if handler.headers.get("if-none-match") == etag:
        handler.answer(304, b"", content_length="", etag=etag)
    else:
        handler.answer(200, content, etag=etag)


def dated(last_modified: str) -> Answer:
    def act(handler: Handler, content: bytes) -> None:
        if handler.headers.get("if-modified-since") == last_modified:
            handler.answer(304, b"", content_length="")
        else:
            handler.answer(200, content, last_modified=last_modified)

    return act


def status(code: int) -> Answer:
    return lambda handler, content: handler.answer(code, b"it is not my day")


def truncated(handler: Handler, content: bytes) -> None:
    handler.answer(200, content[: len(content) // 2], length=len(content))
    handler.close_connection = True


def cut_off(handler: Handler, content: bytes) -> None:
    """A body that ends with the connection, as an HTTP/1.0 server sends it, and too soon."""
    handler.answer(200, content[:-9], content_length="")
    handler.close_connection = True


def unbounded(handler: Handler, content: bytes) -> None:
    handler.answer(200, content, content_length="")
    handler.close_connection = True


def web_page(handler: Handler, content: bytes) -> None:
    page = b"<!DOCTYPE html><html><body>Sign in to continue</body></html>"
    handler.answer(200, page, content_type="text/html; charset=utf-8")


def web_page_as_text(handler: Handler, content: bytes) -> None:
    handler.answer(200, b"<!DOCTYPE html><html>,<body>Sign in</body></html>\n")


def compressed(handler: Handler, content: bytes) -> None:
    handler.answer(200, gzip.compress(content), content_encoding="gzip")


def moved(handler: Handler, content: bytes) -> None:
    handler.answer(302, b"", location=handler.path)


def dropped(handler: Handler, content: bytes) -> None:
    handler.close_connection = True


def silent(handler: Handler, content: bytes) -> None:
    """Takes the request and says nothing until the server is let go."""
    handler.server.released.wait(30)
    handler.close_connection = True


def late(handler: Handler, content: bytes) -> None:
    """Answers as soon as the server is let go."""
    handler.server.released.wait(30)
    ok(handler, content)


def trickling(handler: Handler, content: bytes) -> None:
    """A byte now and then: never silent, never done."""
    handler.answer(200, b"", length=len(content))
    for byte in content:
        handler.wfile.write(bytes([byte]))
        if handler.server.released.wait(0.05):
            break
    handler.close_connection = True


def endless(handler: Handler, content: bytes) -> None:
    """A body of no stated length that does not end."""
    handler.answer(200, b"", content_length="", transfer_encoding="chunked")
    while not handler.server.released.is_set():
        handler.wfile.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
