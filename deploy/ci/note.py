"""Writes a review as one comment on its pull or merge request, and renews it with each push.

Usage: note.py FILE. Where it runs tells which host it speaks to:

GitHub Actions: GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_EVENT_PATH; MESHPACT_TOKEN is a token that
may write to pull requests. GitLab CI: CI_API_V4_URL, CI_PROJECT_ID, CI_MERGE_REQUEST_IID;
MESHPACT_TOKEN is a project access token with the scope api.

A comment that cannot be written (a fork's token may only read) is a warning: the verdict of the
review stands elsewhere. Needs Python alone.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote

MARK: Final = "<!-- meshpact review -->"
PAGES: Final = 20
"""Pages of 100 comments that are looked through for one's own."""
SECONDS: Final = 30


class CannotWrite(Exception):
    """Why there is no comment."""


class _Stay(urllib.request.HTTPRedirectHandler):
    """A token goes to the host it is for, and to no other."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Any,
        newurl: str,
    ) -> None:
        return None


class Host:
    """The API of a host, as far as comments need it."""

    def __init__(self, comments: str, user: str, headers: Mapping[str, str]) -> None:
        self._comments = comments
        self._user = user
        self._headers = {**headers, "Content-Type": "application/json", "User-Agent": "meshpact"}
        self._opener = urllib.request.build_opener(_Stay)

    def write(self, text: str) -> str:
        """Writes the comment anew or for the first time; returns which."""
        body = {"body": f"{MARK}\n{text}"}
        known = self._known()
        if known is None:
            self._ask("POST", self._comments, body)
            return "written"
        self._ask(*self._renewed(known), body)
        return "renewed"

    def _renewed(self, comment: int) -> tuple[str, str]:
        return "PUT", f"{self._comments}/{comment}"

    def _is_mine(self, comment: Mapping[str, Any], me: object) -> bool:
        return bool(comment["author"]["id"] == me)

    def _me(self) -> object:
        return self._ask("GET", self._user)["id"]

    def _known(self) -> int | None:
        """The ID of the comment of an earlier run: one's own, with the mark at its beginning."""
        me = self._me()
        for page in range(1, PAGES + 1):
            found = self._ask("GET", f"{self._comments}?per_page=100&page={page}")
            for comment in found:
                if str(comment["body"]).startswith(MARK) and self._is_mine(comment, me):
                    return int(comment["id"])
            if len(found) < 100:
                break
        return None

    def _ask(self, method: str, address: str, body: object = None) -> Any:
        if not address.startswith(("https://", "http://")):
            raise CannotWrite(f"{address} is no address")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
            address, data, dict(self._headers), method=method
        )
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                raise CannotWrite(f"{method} {address} answers {error.code}") from None
        except (OSError, ValueError) as error:
            raise CannotWrite(f"{method} {address}: {error}") from None


class GitHub(Host):
    """REST API of GitHub, "Issue comments": a pull request is an issue."""

    BOT: Final = "github-actions[bot]"

    def __init__(self, environment: Mapping[str, str], token: str) -> None:
        api, self._repository = environment["GITHUB_API_URL"], environment["GITHUB_REPOSITORY"]
        event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
        number = int(event["pull_request"]["number"])
        self._issues = f"{api}/repos/{quote(self._repository)}/issues"
        super().__init__(
            f"{self._issues}/{number}/comments",
            f"{api}/user",
            {"Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2022-11-28"},
        )

    def _renewed(self, comment: int) -> tuple[str, str]:
        return "PATCH", f"{self._issues}/comments/{comment}"

    def _is_mine(self, comment: Mapping[str, Any], me: object) -> bool:
        return comment["user"] is not None and bool(comment["user"]["login"] == me)

    def _me(self) -> object:
        try:
            return self._ask("GET", self._user)["login"]
        except CannotWrite:  # the token of a run is nobody's, and writes as the bot
            return self.BOT


class GitLab(Host):
    """REST API of GitLab, "Notes": those of merge requests."""

    def __init__(self, environment: Mapping[str, str], token: str) -> None:
        api = environment["CI_API_V4_URL"]
        project, request = int(environment["CI_PROJECT_ID"]), environment["CI_MERGE_REQUEST_IID"]
        address = f"{api}/projects/{project}/merge_requests/{int(request)}/notes"
        super().__init__(address, f"{api}/user", {"PRIVATE-TOKEN": token})


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """0 when the comment is written or cannot be, 2 for wrong use."""
    if len(arguments) != 1:
        print("usage: note.py FILE", file=sys.stderr)
        return 2
    token = environment.get("MESHPACT_TOKEN", "")
    try:
        text = Path(arguments[0]).read_text(encoding="utf-8")
        if not token:
            raise CannotWrite("there is no token (MESHPACT_TOKEN)")
        host = (GitLab if environment.get("GITLAB_CI") else GitHub)(environment, token)
        print(f"meshpact: the comment is {host.write(text)}")
    except CannotWrite as error:
        start = "::warning::" if environment.get("GITHUB_ACTIONS") else ""
        print(f"{start}meshpact: no comment: {error}; the reports of the run have the review")
    except (KeyError, TypeError, ValueError) as error:
        print(f"meshpact: this is no run for a pull or merge request: {error!r}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"meshpact: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
