"""The GitLab template: its jobs run in a clone as GitLab Runner makes it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ci_templates.hosts import Comments, Host
from ci_templates.runner import CI, Ended, run_job

MARK = "<!-- meshpact review -->"


class Merge:
    """Merge request 7 of a host, and pipelines for it."""

    def __init__(self, host: Host, home: Path, comments: Comments) -> None:
        self.host = host
        self.home = home
        self.comments = comments
        comments.me = "project_42_bot"
        self.depth = 2

    def run(self, job: str, event: str = "detached", **variables: str) -> Ended:
        """One job. `event` is CI_MERGE_REQUEST_EVENT_TYPE."""
        git = self.host.repository.git
        if event == "detached":
            commit = self.host.merge_request("change")
        else:
            _, commit = self.host.pull_request("change")
        workspace = self.host.clone(commit, "refs/pipelines/1", self.depth)
        if not (workspace / "deploy").exists():
            shutil.copytree(CI, workspace / "deploy/ci")
        self.workspace = workspace
        given = {
            "CI_API_V4_URL": self.comments.address,
            "CI_COMMIT_SHA": commit,
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": git("merge-base", "main", "change"),
            "CI_MERGE_REQUEST_EVENT_TYPE": event,
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "change",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_PIPELINE_SOURCE": "merge_request_event",
            "CI_PROJECT_DIR": str(workspace),
            "CI_PROJECT_ID": "42",
            "MESHPACT_GITLAB_TOKEN": self.comments.token,
            "MESHPACT_MESH": "mesh.yaml",
            "MESHPACT_PACKAGE": "",
        }
        return run_job(job, workspace, {**given, **variables}, self.home)

    def report(self, name: str) -> list[dict[str, str]]:
        """A report of Code Quality."""
        found: list[dict[str, str]] = json.loads(
            (self.workspace / "meshpact-reports" / name).read_text()
        )
        return found


@pytest.fixture
def merge(host: Host, home: Path, comments: Comments) -> Merge:
    return Merge(host, home, comments)


@pytest.mark.parametrize("event", ["detached", "merged_result"])
def test_a_review_is_a_note_a_report_and_a_verdict(merge: Merge, event: str) -> None:
    ended = merge.run("meshpact-review", event)
    assert ended.failed == "1", ended.log
    ((_, body),) = merge.comments.bodies.values()
    assert body.startswith(f"{MARK}\n### Contract review: needs approval: 1 finding widens access")
    assert "`@shop/contracts`" in body
    (finding,) = merge.report("code-quality.json")
    assert finding["check_name"] == "meshpact-review-role-added"
    assert merge.comments.token not in ended.log
    merge.run("meshpact-review", event)
    assert len(merge.comments.bodies) == 1


def test_without_a_token_the_review_is_an_artifact(merge: Merge) -> None:
    ended = merge.run("meshpact-review", MESHPACT_GITLAB_TOKEN="")
    assert ended.failed == "1"
    assert "no comment: there is no token" in ended.log
    assert merge.comments.bodies == {}


def test_a_base_that_is_not_told_is_found_by_the_branch(merge: Merge) -> None:
    merge.depth = 1
    ended = merge.run("meshpact-review", CI_MERGE_REQUEST_DIFF_BASE_SHA="")
    assert ended.failed == "1", ended.log
    assert len(merge.report("code-quality.json")) == 1


def test_a_merge_train_is_held_against_what_it_is_merged_into(merge: Merge) -> None:
    ended = merge.run("meshpact-review", "merge_train", MESHPACT_GITLAB_TOKEN="")
    assert ended.failed == "1", ended.log
    assert len(merge.report("code-quality.json")) == 1


def test_contracts_that_do_not_compile_fail_the_job_with_a_note(merge: Merge) -> None:
    merge.host.repository.replace("message GetRequest", "massage GetRequest")
    merge.host.repository.commit("Break it")
    ended = merge.run("meshpact-review")
    assert ended.failed == "2"
    ((_, body),) = merge.comments.bodies.values()
    assert "it could not be made" in body


def test_names_of_branches_are_never_run(merge: Merge, tmp_path: Path) -> None:
    name = "$(touch${IFS}pwned);touch${IFS}pwned"
    ended = merge.run(
        "meshpact-review",
        CI_MERGE_REQUEST_DIFF_BASE_SHA="",
        CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=name,
        CI_MERGE_REQUEST_TARGET_BRANCH_NAME=name,
    )
    assert ended.failed == "2"
    assert "cannot be fetched from origin" in ended.log
    assert not list(tmp_path.rglob("pwned"))


def test_lint_is_a_report_and_a_text(merge: Merge) -> None:
    ended = merge.run("meshpact-lint")
    assert ended.failed == "1"
    found = merge.report("lint-quality.json")
    assert len(found) > 1
    assert f"protos/shop/v1/shop.proto:{found[0]['location']['lines']['begin']}" in ended.log  # type: ignore[index]


def test_generated_code_that_is_not_fresh_fails_its_job(merge: Merge) -> None:
    ended = merge.run("meshpact-generate")
    assert ended.failed == "1"
    assert "shop_mesh.py is out of date" in ended.log
