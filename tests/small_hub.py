"""A hub on this machine: enough of the Hugging Face hub's HTTP interface for its own clients.

Repositories are folders: `models/owner/name` and `datasets/owner/name`. Clients are pointed to
it with the variable HF_ENDPOINT, which they read when they are imported.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
INFO = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/revision/(?P<revision>.+))?")
TREE = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)/tree/([^/]+)(?:/(?P<path>.*))?")
PATHS = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)/paths-info/([^/]+)")
FILE = re.compile(r"(?:/(datasets))?/([^/]+/[^/]+)/resolve/([^/]+)/(?P<path>.+)")


class Hub:
    """The running hub.

    Args:
        root: the folder of its repositories.

    Attributes:
        endpoint: its address.
        asked: the requests that came, as `METHOD path`.
    """

    def __init__(self, root: Path) -> None:
        self.asked: list[str] = []
        handler = type("Handler", (_Handler,), {"root": root, "asked": self.asked})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    root: Path
    asked: list[str]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = unquote(urlsplit(self.path).path)
        self.asked.append(f"{self.command} {path}")
        if found := FILE.fullmatch(path):
            folder = self._repository(found[1] or "models", found[2])
            return self._file(folder / found["path"], found[3])
        if found := PATHS.fullmatch(path):
            folder = self._repository(found[1], found[2])
            named = parse_qs(body).get("paths") or json.loads(body or "{}").get("paths", [])
            return self._json([_entry(folder, name) for name in named if (folder / name).exists()])
        if found := TREE.fullmatch(path):
            return self._tree(self._repository(found[1], found[2]), found["path"] or "")
        if found := INFO.fullmatch(path):
            return self._info(self._repository(found[1], found[2]), found[2])
        return self._missing("RepoNotFound")

    def _repository(self, kind: str, name: str) -> Path:
        return self.root / kind / name

    def _info(self, folder: Path, name: str) -> None:
        if not folder.is_dir():
            return self._missing("RepoNotFound")
        siblings = [{"rfilename": entry["path"]} for entry in _entries(folder)]
        card = {"license": "cc0-1.0"}
        facts = {"id": name, "sha": COMMIT, "siblings": siblings, "cardData": card, "tags": []}
        return self._json({**facts, "private": False, "gated": False, "disabled": False})

    def _tree(self, folder: Path, path: str) -> None:
        place = folder / path
        deep = "recursive=true" in urlsplit(self.path).query.lower()
        below = place.rglob("*") if deep else place.glob("*")
        if not place.is_dir():
            return self._missing("EntryNotFound")
        return self._json([_entry(folder, p.relative_to(folder).as_posix()) for p in sorted(below)])

    def _file(self, path: Path, revision: str) -> None:
        if not path.is_file():
            self._missing("EntryNotFound")
            return
        content = path.read_bytes()
        start, end = 0, len(content)
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start = int(found[1])
            end = min(int(found[2]) + 1, end) if found[2] else end
        self.send_response(206 if self.headers.get("Range") else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", revision if len(revision) == 40 else COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[start:end])

    def _json(self, value: Any) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _missing(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _entries(folder: Path) -> list[dict[str, Any]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [_entry(folder, path.relative_to(folder).as_posix()) for path in paths]


def _entry(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if path.is_dir():
        return {"type": "directory", "path": name, "oid": COMMIT, "size": 0}
    return {"type": "file", "path": name, "oid": COMMIT, "size": path.stat().st_size}
