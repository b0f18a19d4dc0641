"""The composite action for GitHub: its steps run in a clone as actions/checkout makes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci_templates.hosts import Comments, Host
from ci_templates.runner import Ended, run_action

MARK = "<!-- meshpact review -->"


class Pull:
    """Pull request 7 of a host, and a run for it."""

    def __init__(self, host: Host, home: Path, comments: Comments) -> None:
        self.host = host
        self.home = home
        self.comments = comments
        self.depth = 2
        self.branch = "change"

    def run(self, at: str = "merge", **inputs: str) -> Ended:
        """The action, with the checked out merge or head."""
        head, merge = self.host.pull_request(self.branch)
        commit = {"merge": merge, "head": head}[at]
        self.workspace = self.host.clone(commit, f"refs/remotes/pull/7/{at}", self.depth)
        event = self.home / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 7}}))
        github = {
            "api_url": self.comments.address,
            "base_ref": "main",
            "event_name": "pull_request",
            "event_path": str(event),
            "head_ref": self.branch,
            "ref": "refs/pull/7/merge",
            "repository": "acme/shop",
            "sha": merge,
            "token": self.comments.token,
        }
        given = {"package": "", "mesh": "mesh.yaml", **inputs}
        named = {name.replace("_", "-"): value for name, value in given.items()}
        return run_action(self.workspace, named, github, self.home)


@pytest.fixture
def pull(host: Host, home: Path, comments: Comments) -> Pull:
    return Pull(host, home, comments)


def test_what_needs_approval_fails_the_job_after_all_is_told(pull: Pull) -> None:
    ended = pull.run()
    assert ended.ran == ["install", "base", "review", "comment", "verdict"], ended.log
    assert ended.failed == "verdict"
    assert (ended.outputs["exit-code"], ended.outputs["version"]) == ("1", "minor")
    reports = Path(ended.outputs["reports"])
    findings = json.loads((reports / "review.json").read_text())["findings"]
    assert [each["rule"] for each in findings] == ["role-added"], "what main did is not of the pull"
    assert json.loads(Path(ended.outputs["sarif"]).read_text())["version"] == "2.1.0"
    assert json.loads((reports / "code-quality.json").read_text())[0]["severity"] == "minor"
    assert "::warning file=protos/shop/v1/shop.proto,line=" in ended.log
    assert ended.summary.startswith("### Contract review: needs approval: 1 finding widens access")
    assert "gain it: web" in ended.summary
    assert "| `@shop/contracts` | " in ended.summary
    ((_, body),) = pull.comments.bodies.values()
    assert body == f"{MARK}\n{ended.summary}"
    assert pull.comments.token not in ended.log


def test_a_change_without_findings_passes(pull: Pull) -> None:
    repository = pull.host.repository
    repository.git("switch", "-q", "-c", "words", "main")
    repository.replace("message PutResponse {}", "// Nothing.\nmessage PutResponse {}")
    repository.commit("Say it")
    pull.branch = "words"
    ended = pull.run()
    assert ended.failed == "", ended.log
    assert (ended.outputs["exit-code"], ended.outputs["version"]) == ("0", "patch")
    assert "nothing to approve" in ended.summary


def test_a_job_may_go_on_with_what_needs_approval(pull: Pull) -> None:
    ended = pull.run(fail="false", current_version="1.2.3")
    assert (ended.failed, ended.outputs["exit-code"]) == ("", "1")
    assert "Version: **1.3.0** after 1.2.3" in ended.summary


@pytest.mark.parametrize(("at", "depth"), [("merge", 1), ("merge", 0), ("head", 1), ("head", 0)])
def test_the_base_is_found_however_the_clone_was_made(pull: Pull, at: str, depth: int) -> None:
    pull.depth = depth
    ended = pull.run(at, comment="false", fail="false")
    assert ended.failed == "", ended.log
    reports = Path(ended.outputs["reports"])
    findings = json.loads((reports / "review.json").read_text())["findings"]
    assert [each["rule"] for each in findings] == ["role-added"]
    assert pull.comments.bodies == {}


def test_the_next_push_renews_the_comment(pull: Pull) -> None:
    pull.run()
    pull.host.repository.replace("max_len = 20", "max_len = 30")
    pull.host.repository.commit("Take longer names")
    ended = pull.run()
    assert "the comment is renewed" in ended.log
    ((_, body),) = pull.comments.bodies.values()
    assert "2 findings widen access" in body


def test_a_token_that_may_only_read_leaves_the_summary(pull: Pull) -> None:
    pull.comments.writable = False
    ended = pull.run(fail="false")
    assert ended.failed == ""
    assert "::warning::meshpact: no comment: " in ended.log
    assert "answers 403" in ended.log
    assert "needs approval" in ended.summary


def test_contracts_that_do_not_compile_are_told_and_fail_the_job(pull: Pull) -> None:
    pull.host.repository.replace("message GetRequest", "massage GetRequest")
    pull.host.repository.commit("Break it")
    ended = pull.run()
    assert (ended.failed, ended.outputs["exit-code"], ended.outputs["sarif"]) == (
        "verdict",
        "2",
        "",
    )
    assert ended.summary.startswith("### Contract review: it could not be made")
    assert "protos/shop/v1/shop.proto:" in ended.summary
    ((_, body),) = pull.comments.bodies.values()
    assert "it could not be made" in body


def test_an_error_does_not_speak_to_the_runner(pull: Pull) -> None:
    pull.host.repository.replace(
        "message GetRequest", "\n::error::pwned\n::add-mask::a\nmassage GetRequest"
    )
    pull.host.repository.commit("Break it")
    log = pull.run().log
    stopped = log.index("::stop-commands::")
    word = log[stopped:].split("::")[2].split("\n")[0]
    assert len(word) == 32
    again = log.index(f"\n::{word}::")
    assert stopped < log.index("protos/shop/v1/shop.proto:") < again


@pytest.mark.parametrize(
    "name", ["$(touch${IFS}pwned);`touch${IFS}pwned`'\"&&touch${IFS}pwned#|touch${IFS}pwned", "-x"]
)
def test_names_of_branches_and_files_are_never_run(pull: Pull, name: str, tmp_path: Path) -> None:
    repository = pull.host.repository
    pull.branch = f"b/{name}"
    repository.git("switch", "-q", "-c", pull.branch)
    odd = repository.top / "protos/shop/v1" / f"{name.replace('/', '')}.proto"
    odd.write_text('syntax = "proto3";\npackage shop.v1;\nmessage Odd {}\n')
    repository.commit("Name it oddly")
    for at, depth in (("merge", 2), ("head", 1)):
        pull.depth = depth
        ended = pull.run(at, fail="false")
        assert ended.failed == "", ended.log
    assert not list(tmp_path.rglob("pwned"))


def test_who_owns_what_is_read_from_the_base(pull: Pull) -> None:
    (pull.host.repository.top / "CODEOWNERS").write_text("/protos/ @mallory\n")
    pull.host.repository.commit("Own it")
    ended = pull.run()
    assert "@mallory" not in ended.summary
    assert "@shop/contracts" in ended.summary
    assert "who approves" not in pull.run(owners="").summary.rpartition("### Contract review")[2]


def test_a_commit_or_a_branch_may_be_named_to_compare_with(pull: Pull) -> None:
    for against in ("main", "origin/main", pull.host.repository.git("rev-parse", "main")):
        ended = pull.run(against=against, fail="false", comment="false")
        assert ended.failed == "", ended.log
        assert ended.outputs["exit-code"] == "1"


@pytest.mark.parametrize(
    ("against", "said"),
    [
        ("nowhere", "branch 'nowhere' cannot be fetched from origin"),
        ("--upload-pack=touch pwned", "is no commit and no branch"),
        ("a b", "is no name of a branch"),
        ("f" * 40, "is not in this clone and cannot be fetched"),
    ],
)
def test_a_base_that_cannot_be_had_ends_the_run(pull: Pull, against: str, said: str) -> None:
    ended = pull.run(against=against)
    assert ended.failed == "base"
    assert said in ended.log
    assert pull.comments.bodies == {}


def test_a_package_that_cannot_be_installed_ends_the_run(pull: Pull) -> None:
    ended = pull.run(package="--index-url=nowhere")
    assert (ended.failed, "is an option of pip" in ended.log) == ("install", True)


def test_a_folder_below_the_top_may_be_the_working_directory(pull: Pull) -> None:
    ended = pull.run(working_directory="protos", protos=".", mesh="../mesh.yaml", fail="false")
    assert (ended.failed, ended.outputs["exit-code"]) == ("", "1"), ended.log
    assert "@shop/contracts" in ended.summary
