"""The comment on a request: one, one's own, and only on the host that it is for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ci_templates.hosts import Comments
from ci_templates.runner import CI, environment

MARK = "<!-- meshpact review -->"
Write = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def write(home: Path, comments: Comments) -> Write:
    """Writes a note for pull request 7."""
    event, text = home / "event.json", home / "comment.md"
    event.write_text(json.dumps({"pull_request": {"number": 7}}))
    text.write_text("### Fine\n")

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        given = {
            "GITHUB_API_URL": comments.address,
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_EVENT_PATH": str(event),
            "MESHPACT_TOKEN": comments.token,
        }
        return subprocess.run(
            [sys.executable, "-I", str(CI / "note.py"), str(text)],
            env=environment(home, **{**given, **more}),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_comment_of_somebody_else_is_left_alone(comments: Comments, write: Write) -> None:
    comments.add("mallory", f"{MARK}\nnothing to approve")
    comments.add("github-actions[bot]", "Thanks!")
    assert write().returncode == 0
    assert comments.bodies[1] == ("mallory", f"{MARK}\nnothing to approve")
    assert comments.bodies[3] == ("github-actions[bot]", f"{MARK}\n### Fine\n")


def test_ones_own_comment_is_found_among_hundreds(comments: Comments, write: Write) -> None:
    for number in range(230):
        comments.add("anna", f"{number}")
    comments.add("github-actions[bot]", f"{MARK}\nold")
    for number in range(5):
        comments.add("anna", f"{number}")
    assert "the comment is renewed" in write().stdout
    assert comments.bodies[231][1] == f"{MARK}\n### Fine\n"
    assert len(comments.bodies) == 236


def test_a_token_of_a_user_knows_its_own(comments: Comments, write: Write) -> None:
    comments.me = "release-bot"
    comments.add("github-actions[bot]", f"{MARK}\nof another job")
    comments.add("release-bot", f"{MARK}\nold")
    write()
    assert comments.bodies[1][1].endswith("of another job")
    assert comments.bodies[2][1].endswith("### Fine\n")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"MESHPACT_TOKEN": ""}, "there is no token"),
        ({"MESHPACT_TOKEN": "wrong"}, "answers 401"),
        ({"GITHUB_REPOSITORY": "acme/other"}, "answers 404"),
        ({"GITHUB_API_URL": "file:///etc/passwd#"}, "is no address"),
        ({"GITHUB_API_URL": "http://127.0.0.1:1"}, "Connection refused"),
    ],
)
def test_a_comment_that_cannot_be_written_is_a_warning(
    comments: Comments, write: Write, given: dict[str, str], said: str
) -> None:
    done = write(**given)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout
    assert comments.token not in done.stdout
    assert comments.bodies == {}


def test_a_token_does_not_follow_to_another_host(comments: Comments, write: Write) -> None:
    done = write(GITHUB_API_URL=comments.address.replace("/api", "/moved"))
    assert "answers 302" in done.stdout
    assert ("GET", "/api/user") not in comments.asked


def test_a_run_for_no_request_is_wrong_use(home: Path, write: Write) -> None:
    (home / "event.json").write_text("{}")
    done = write()
    assert done.returncode == 2
    assert "this is no run for a pull or merge request" in done.stderr
    (home / "comment.md").unlink()
    assert "No such file" in write().stderr
