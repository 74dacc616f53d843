"""A Hub on this machine: the routes, headers and errors that huggingface_hub expects of one.

Answers written for the tests; the error codes are those of huggingface_hub's ``errors.py``.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_good"
STRANGER = "hf_stranger"


@dataclass
class Repo:
    """A repository: its files, one commit, and who may see it."""

    files: dict[str, bytes] = field(default_factory=dict)
    sha: str = "0123456789abcdef0123456789abcdef01234567"
    revisions: tuple[str, ...] = ("main",)
    gated: bool = False
    private: bool = False


class Hub(ThreadingHTTPServer):
    """``repos`` by id; ``failure`` is a status that every request then gets.

    ``sent`` counts the bytes of each file's content that went out.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, Repo] = {}
        self.failure: int | None = None
        self.ranges = True
        self.requests: list[str] = []
        self.sent: dict[str, int] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, model_id: str, files: dict[str, Any], **more: Any) -> Repo:
        content = {
            name: value if isinstance(value, bytes) else json.dumps(value).encode()
            for name, value in files.items()
        }
        self.repos[model_id] = Repo(files=content, **more)
        return self.repos[model_id]


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def log_message(self, format: str, *args: Any) -> None:
        self.server.requests.append(f"{self.command} {self.path}")

    def _route(self) -> None:
        if self.server.failure:
            wait = {"Retry-After": "7"} if self.server.failure == 429 else {}
            self._answer(self.server.failure, b"", wait)
            return
        info = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", self.path)
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        found = info or file
        if found is None:
            self._error(404, "RepoNotFound")
            return
        repo = self._allowed(found[1])
        if repo is None:
            return
        revision = found[2] or "main"
        if revision not in (*repo.revisions, repo.sha):
            self._error(404, "RevisionNotFound")
        elif file:
            self._file(repo, file[3])
        else:
            self._info(found[1], repo)

    def _allowed(self, model_id: str) -> Repo | None:
        """The repository, as far as the token may see it; otherwise the Hub's own error."""
        repo = self.server.repos.get(model_id)
        token = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        if token not in ("", TOKEN, STRANGER):
            self._answer(
                401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"}
            )
            return None
        if repo is None or (repo.private and token != TOKEN):
            self._error(404 if token else 401, "RepoNotFound" if token else None)
            return None
        if repo.gated and token != TOKEN and "/resolve/" in self.path:
            self._error(403 if token else 401, "GatedRepo")
            return None
        return repo

    def _info(self, model_id: str, repo: Repo) -> None:
        document = {
            "_id": "1",
            "id": model_id,
            "modelId": model_id,
            "sha": repo.sha,
            "private": repo.private,
            "gated": "manual" if repo.gated else False,
            "tags": [],
            "siblings": [{"rfilename": name} for name in repo.files],
        }
        self._answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def _file(self, repo: Repo, path: str) -> None:
        content = repo.files.get(path)
        if content is None:
            self._error(404, "EntryNotFound", {"X-Repo-Commit": repo.sha})
            return
        headers = {
            "X-Repo-Commit": repo.sha,
            "ETag": f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
            "Accept-Ranges": "bytes",
        }
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range") or "")
        if asked and self.server.ranges:
            start, stop = int(asked[1]), min(int(asked[2]) + 1, len(content))
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            self._answer(206, content[start:stop], headers)
            self.server.sent[path] = self.server.sent.get(path, 0) + stop - start
        else:
            self._answer(200, content, headers)

    def _error(self, status: int, code: str | None, more: dict[str, str] | None = None) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": code} if code else {}
        self._answer(status, b"", {**headers, **(more or {})})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
