"""A host of git with pull and merge requests: a bare repository with their refs, clones as CI makes
them, and the part of the host's API that takes comments."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from review.reviews import Repository


class Host:
    """A server of git that a shop is kept on."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self.repository = repository
        self.bare = folder / "server.git"
        self._folder = folder
        self._clones = 0
        repository.git("clone", "-q", "--bare", str(repository.top), str(self.bare))
        repository.git("remote", "add", "origin", str(self.bare))

    @property
    def address(self) -> str:
        """Where it is cloned from; a shallow clone needs more than a path."""
        return f"file://{self.bare}"

    def push(self, branch: str) -> str:
        """Pushes a branch; returns its commit."""
        self.repository.git("push", "-q", "-f", "origin", f"{branch}:refs/heads/{branch}")
        return self.repository.git("rev-parse", branch)

    def pull_request(self, branch: str, base: str = "main") -> tuple[str, str]:
        """What GitHub keeps of pull request 7: its head, and its merge into the base; the commits
        of both."""
        head = self.push(branch)
        self.repository.git("switch", "-q", "--detach", base)
        self.repository.git("merge", "-q", "--no-ff", "-m", f"Merge {branch} into {base}", branch)
        merge = self.repository.git("rev-parse", "HEAD")
        self.repository.git("switch", "-q", branch)
        for ref, commit in (("head", head), ("merge", merge)):
            self.repository.git("push", "-q", "-f", "origin", f"{commit}:refs/pull/7/{ref}")
        return head, merge

    def merge_request(self, branch: str) -> str:
        """What GitLab keeps of merge request 7: its head; the commit of that."""
        head = self.push(branch)
        self.repository.git("push", "-q", "-f", "origin", f"{head}:refs/merge-requests/7/head")
        return head

    def clone(self, commit: str, ref: str, depth: int) -> Path:
        """A clone of one commit as CI makes it: shallow, one ref, nothing else."""
        self._clones += 1
        top = self._folder / f"workspace-{self._clones}"
        top.mkdir()
        git = self.repository.git
        git("init", "-q", "-b", "unused", cwd=top)
        git("remote", "add", "origin", self.address, cwd=top)
        depths = [f"--depth={depth}"] if depth else []
        git("fetch", "-q", "--no-tags", *depths, "origin", f"+{commit}:{ref}", cwd=top)
        git("checkout", "-q", "--force", "--detach", commit, cwd=top)
        return top


class Comments:
    """The comments of one request, as both hosts keep them."""

    def __init__(self) -> None:
        self.bodies: dict[int, tuple[str, str]] = {}
        """By ID, who wrote it and what."""
        self.asked: list[tuple[str, str]] = []
        self.token = "secret-of-the-run"
        self.me: str | None = None
        """The user that the token is; none: GitHub's token of a run."""
        self.writable = True
        self.address = ""

    def add(self, who: str, text: str) -> None:
        """A comment."""
        self.bodies[len(self.bodies) + 1] = who, text


@contextmanager
def serving(comments: Comments) -> Generator[Comments]:
    """The API on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, code: int, content: object) -> None:
            data = json.dumps(content).encode()
            self.send_response(code)
            if code in (301, 302):
                self.send_header("Location", str(content))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _handle(self) -> None:
            url = urlsplit(self.path)
            comments.asked.append((self.command, url.path))
            length = int(self.headers.get("Content-Length") or 0)
            body: dict[str, str] = json.loads(self.rfile.read(length)) if length else {}
            given = self.headers.get("PRIVATE-TOKEN") or self.headers.get(
                "Authorization", ""
            ).removeprefix("Bearer ")
            if url.path.startswith("/moved/"):
                return self._answer(302, "/api/user")
            if given != comments.token:
                return self._answer(401, {})
            if url.path == "/api/user":
                me = comments.me
                return self._answer(403, {}) if me is None else self._answer(200, _user(me))
            if url.path not in _LISTS and url.path.rpartition("/")[0] not in _ONES:
                return self._answer(404, {})
            if self.command == "GET":
                page = int(parse_qs(url.query)["page"][0])
                found = [_comment(id_, *each) for id_, each in sorted(comments.bodies.items())]
                return self._answer(200, found[100 * (page - 1) : 100 * page])
            if not comments.writable:
                return self._answer(403, {})
            who = comments.me or "github-actions[bot]"
            if self.command == "POST":
                comments.add(who, body["body"])
                return self._answer(201, {})
            id_ = int(url.path.rpartition("/")[2])
            assert comments.bodies[id_][0] == who
            comments.bodies[id_] = who, body["body"]
            return self._answer(200, {})

        do_GET = do_POST = do_PATCH = do_PUT = _handle

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        comments.address = f"http://127.0.0.1:{server.server_address[1]}/api"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield comments
        server.shutdown()
        thread.join()


def _user(name: str) -> dict[str, object]:
    return {"login": name, "id": sum(name.encode())}


def _comment(id_: int, who: str, body: str) -> dict[str, object]:
    return {"id": id_, "body": body, "user": _user(who), "author": _user(who)}


_LISTS = ("/api/repos/acme/shop/issues/7/comments", "/api/projects/42/merge_requests/7/notes")
_ONES = ("/api/repos/acme/shop/issues/comments", "/api/projects/42/merge_requests/7/notes")
