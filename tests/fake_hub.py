"""A fake hub on loopback: the few addresses that its client requests to fetch a data set, and how it refuses."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
#: name of a data set -> status, headers: as the hub refuses
REFUSED = {
    "acme/gated": (403, {"X-Error-Code": "GatedRepo"}),
    "acme/private": (401, {"X-Error-Code": "RepoNotFound"}),
    "acme/broken": (503, {}),
}


class Hub(ThreadingHTTPServer):
    """``files`` by data set and path; ``requests`` are those that came in, as "GET /api/..."."""

    def __init__(self, files: Mapping[str, Mapping[str, bytes]]) -> None:
        self.files = files
        self.requests: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path.partition('?')[0]}")
        place = self.path.partition("?")[0].removeprefix("/api").removeprefix("/datasets").removeprefix("/")
        owner, name, what, revision, *path = [*place.split("/"), "", "", ""]
        path = path[:-3]
        files = self.server.files.get(f"{owner}/{name}")
        if refused := REFUSED.get(f"{owner}/{name}"):
            self._say(refused[0], b"", refused[1])
        elif files is None:
            self._say(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", COMMIT):
            self._say(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif what == "revision":
            self._say(200, json.dumps({"id": f"{owner}/{name}", "sha": COMMIT}).encode())
        elif what == "tree":
            tree = [{"type": "file", "path": p, "size": len(c), "oid": _oid(c)} for p, c in files.items()]
            self._say(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
        elif what == "resolve" and "/".join(path) in files:
            content = files["/".join(path)]
            self._say(200, content, {"ETag": f'"{_oid(content)}"'})
        else:
            self._say(404, b"", {"X-Error-Code": "EntryNotFound"})

    do_HEAD = do_GET

    def _say(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(content)), "X-Repo-Commit": COMMIT}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *words: object) -> None: ...


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextmanager
def hub(files: Mapping[str, Mapping[str, bytes]]) -> Iterator[Hub]:
    with Hub(files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
