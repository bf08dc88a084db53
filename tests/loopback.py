"""A model hub on loopback, as much of one as huggingface_hub's client asks for: it makes repositories, takes files in
advance and by commit, tags, and gives them back. It can be told to fail."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_aVerySecretTokenThatNobodyMaySee"
BIG = (".safetensors", ".parquet")
"""Files that are sent in advance, and named by a commit."""


class Failure(Exception):
    """An answer that is none: its status, the code by which the client knows what is missing, what else it says, and
    the seconds after which to ask again."""

    def __init__(self, status: int, code: str = "", wait: int = 0, **says: str) -> None:
        super().__init__(status, code)
        self.status, self.code, self.wait, self.says = status, code, wait, says


@dataclass
class Repo:
    private: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    card: dict[str, Any] | None = None

    @property
    def files(self) -> dict[str, bytes]:
        """Those of the last commit."""
        return next(reversed(self.commits.values()), {})

    def at(self, revision: str) -> tuple[str, dict[str, bytes]]:
        """The commit that `revision` names, and its files."""
        last = next(reversed(self.commits), "0" * 40)
        name = {"main": last, **self.tags}.get(revision, revision)
        if name != last and name not in self.commits:
            raise Failure(404, "RevisionNotFound")
        return name, self.commits.get(name, {})


@dataclass
class Hub:
    """`faults`: (method, what the path has in it) -> statuses to answer with, one request after the other; 0 cuts the
    connection; with them it says `wait`, seconds, and `says`. `sent` are the big files that were received, `asked` all
    requests."""

    address: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    faults: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    wait: int = 0
    says: dict[str, str] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def repo(self, kind: str, name: str) -> Repo:
        place = name if kind == "models" else f"{kind}/{name}"
        if place not in self.repos:
            raise Failure(404, "RepoNotFound")
        return self.repos[place]

    def clear(self) -> None:
        """Back to an empty hub."""
        for one in (self.repos, self.blobs, self.faults, self.says, self.sent, self.asked):
            one.clear()
        self.wait = 0

    # What the client asks for

    def create(self, body: bytes) -> Any:
        row = json.loads(body)
        kind, name = row.get("type", "model"), f"{row['organization']}/{row['name']}"
        place = name if kind == "model" else f"{kind}s/{name}"
        url = f"{self.address}/{place}"
        if place in self.repos:
            raise Failure(409, url=url)
        self.repos[place] = Repo(row.get("visibility") == "private")
        return {"url": url}

    def valid(self, body: bytes) -> Any:
        return {}

    def preupload(self, body: bytes, kind: str, name: str) -> Any:
        there = self.repo(kind, name).files
        return {
            "files": [
                {
                    "path": path,
                    "uploadMode": "lfs" if path.endswith(BIG) else "regular",
                    "shouldIgnore": False,
                    "oid": _oid(path, there[path]) if path in there else None,
                }
                for path in (one["path"] for one in json.loads(body)["files"])
            ]
        }

    def batch(self, body: bytes) -> Any:
        wanted = json.loads(body)["objects"]
        for one in wanted:
            if one["oid"] not in self.blobs:
                one["actions"] = {"upload": {"href": f"{self.address}/blobs/{one['oid']}", "header": {}}}
        return {"objects": wanted, "transfer": "basic"}

    def take(self, body: bytes, oid: str) -> Any:
        assert hashlib.sha256(body).hexdigest() == oid
        self.blobs[oid] = body
        self.sent.append(oid)
        return {}

    def commit(self, body: bytes, kind: str, name: str) -> Any:
        repo = self.repo(kind, name)
        files = dict(repo.files)
        for row in map(json.loads, body.splitlines()):
            value = row["value"]
            if row["key"] == "header" and value.get("parentCommit") not in (None, repo.at("main")[0]):
                raise Failure(412)
            if row["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                files[value["path"]] = self.blobs[value["oid"]]
            elif row["key"] == "deletedFile":
                del files[value["path"]]
        oid = hashlib.sha1(b"%d" % len(repo.commits) + body).hexdigest()
        repo.commits[oid] = files
        place = name if kind == "models" else f"{kind}/{name}"
        return {"commitUrl": f"{self.address}/{place}/commit/{oid}", "commitOid": oid}

    def refs(self, body: bytes, kind: str, name: str) -> Any:
        tags = self.repo(kind, name).tags.items()
        return {
            "branches": [],
            "converts": [],
            "tags": [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": oid} for tag, oid in tags],
        }

    def tag(self, body: bytes, kind: str, name: str, revision: str) -> Any:
        repo, named = self.repo(kind, name), json.loads(body)["tag"]
        if named in repo.tags:
            raise Failure(409)
        repo.tags[named] = repo.at(revision)[0]
        return {}

    def tree(self, body: bytes, kind: str, name: str, revision: str, under: str | None = None) -> Any:
        _, files = self.repo(kind, name).at(revision)
        folders = {path.rpartition("/")[0] for path in files if "/" in path}
        return [
            *(_entry(path, raw) for path, raw in files.items() if path.startswith(under or "")),
            *({"type": "directory", "path": folder, "oid": "0" * 40, "size": 0} for folder in folders),
        ]

    def info(self, body: bytes, kind: str, name: str, revision: str = "main") -> Any:
        repo = self.repo(kind, name)
        oid, files = repo.at(revision or "main")
        card = {"cardData": repo.card} if repo.card else {}
        return {
            "id": name,
            "sha": oid,
            "private": repo.private,
            "siblings": [{"rfilename": one} for one in files],
            **card,
        }

    def file(self, body: bytes, kind: str | None, name: str, revision: str, path: str) -> tuple[bytes, dict[str, str]]:
        oid, files = self.repo((kind or "models/").rstrip("/"), name).at(revision)
        if path not in files:
            raise Failure(404, "EntryNotFound")
        return files[path], {"X-Repo-Commit": oid, "ETag": f'"{hashlib.sha256(files[path]).hexdigest()}"'}


_API = r"/api/(models|datasets)/([^/]+/[^/]+)"
_ROUTES = [
    (r"POST /api/repos/create", Hub.create),
    (r"POST /api/validate-yaml", Hub.valid),
    (rf"POST {_API}/preupload/[^/]+", Hub.preupload),
    (r"POST /(?:datasets/)?[^/]+/[^/]+\.git/info/lfs/objects/batch", Hub.batch),
    (r"PUT /blobs/(\w+)", Hub.take),
    (rf"POST {_API}/commit/[^/]+", Hub.commit),
    (rf"GET {_API}/refs", Hub.refs),
    (rf"POST {_API}/tag/([^/]+)", Hub.tag),
    (rf"GET {_API}/tree/([^/]+)(?:/(.+))?", Hub.tree),
    (rf"GET {_API}(?:/revision/([^/]+))?", Hub.info),
    (r"(?:GET|HEAD) /(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", Hub.file),
]


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers at its `address` until the block ends."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            hub.asked.append(f"{self.command} {path}")
            headers: dict[str, str] = {}
            try:
                answer: Any = self.found(path, body)
                if isinstance(answer, tuple):
                    answer, headers = answer
                status = 200
            except Failure as failure:
                status, answer = failure.status, {"error": failure.code, **failure.says}
                headers = {"X-Error-Code": failure.code, "Retry-After": str(failure.wait)}
            if status == 0:
                self.close_connection = True
                self.connection.close()
                return
            raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(raw))}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw)

        def found(self, path: str, body: bytes) -> Any:
            for (method, part), statuses in hub.faults.items():
                if method == self.command and part in path and statuses:
                    raise Failure(statuses.pop(0), wait=hub.wait, **hub.says)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}" and "/blobs/" not in path:
                raise Failure(401)
            for pattern, do in _ROUTES:
                if match := re.fullmatch(pattern, f"{self.command} {path}"):
                    return do(hub, body, *match.groups())  # type: ignore[operator]  # routes differ in their arguments
            raise Failure(404)

    for method in ("GET", "HEAD", "POST", "PUT"):
        setattr(Handler, f"do_{method}", Handler.serve)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()


def _oid(path: str, raw: bytes) -> str:
    """As git names a blob; big files go by their SHA-256."""
    big = hashlib.sha256(raw).hexdigest()
    return big if path.endswith(BIG) else hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()


def _entry(path: str, raw: bytes) -> dict[str, Any]:
    oid = _oid(path, raw)
    lfs = {"lfs": {"oid": oid, "size": len(raw), "pointerSize": 130}} if path.endswith(BIG) else {}
    return {"type": "file", "path": path, "size": len(raw), "oid": oid, **lfs}
