"""A review that cannot be made: what the script leaves, and what a change may say in a comment."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from ci_templates.runner import CI, environment
from review.reviews import Repository

OLD = ("CODEOWNERS", "code-quality.json", "comment.md", "error.txt", "review.json", "review.sarif")
HOSTILE = (
    "\r\r@alice\n\n/approve\u2028- [ ] @bob ![](https://evil.example/i)\x1b[2J\u202e\x85\n```\n"
)
"""What a change might get into an error."""
GITHUB = 65_536
"""Characters that GitHub takes in a comment."""


@dataclass(frozen=True)
class Failed:
    """A review that could not be made, in a folder with the reports of an earlier run."""

    reports: Path
    code: int
    log: str

    @property
    def comment(self) -> str:
        return (self.reports / "comment.md").read_text(encoding="utf-8")


def review(top: Path, commit: str, home: Path, script: Path = CI / "review.sh") -> Failed:
    reports = home / "reports"
    done = subprocess.run(
        ["sh", str(script)],
        cwd=top,
        env=environment(home, MESHPACT_COMMIT=commit, MESHPACT_REPORTS=str(reports)),
        capture_output=True,
        text=True,
        check=False,
    )
    return Failed(reports, done.returncode, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Failed:
    """A change with two thousand faults, over the reports of an earlier run."""
    top = tmp_path_factory.mktemp("shop")
    repository = Repository(top)
    commit = repository.git("rev-parse", "HEAD")
    fields = "\n".join(f"  Nowhere{number} @carol = {number};" for number in range(1, 2000))
    (top / "protos/shop/v1/many.proto").write_text(
        'syntax = "proto3";\npackage shop.v1;\nimport "\\r@alice\\n\\n@bob";\n'
        f"message Many {{ {'x' * 5000}\n{fields}\n}}\n"
    )
    home = tmp_path_factory.mktemp("home")
    (home / "reports").mkdir()
    for name in OLD:
        (home / "reports" / name).write_text(f"old {name}\n")
    return review(top, commit, home)


def test_nothing_of_an_earlier_run_stays(failed: Failed) -> None:
    assert failed.code == 2
    assert sorted(path.name for path in failed.reports.iterdir()) == ["comment.md", "error.txt"]
    assert "old" not in failed.comment


def test_a_long_error_is_cut_and_says_where_the_whole_is(failed: Failed) -> None:
    whole = (failed.reports / "error.txt").read_bytes()
    assert len(whole) > GITHUB
    assert len(failed.comment) < GITHUB / 2
    assert f"This is cut: there are {len(whole):,} bytes of it." in failed.comment
    assert "in the log of this run, and in `error.txt` among its reports" in failed.comment
    assert whole.decode().splitlines()[-1] in failed.log


def test_what_a_change_says_stays_in_one_block_of_code(failed: Failed) -> None:
    assert _outside_of_code(failed.comment).count("@") == 0
    assert failed.comment.count("@carol") > 10


def test_what_could_end_the_block_or_hide_in_it_is_escaped(tmp_path: Path) -> None:
    said = tmp_path / "error.txt"
    said.write_bytes(f"meshpact: {HOSTILE}".encode() + b"\xff\n")
    comment = _failure(said)
    assert _outside_of_code(comment) == "Contract review: it could not be made"
    assert "@alice" in comment
    assert re.fullmatch(r"[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]*", comment)


def _outside_of_code(comment: str) -> str:
    """The text of a comment but for its one block of code."""
    tokens = MarkdownIt("commonmark").parse(comment)
    assert [token.type for token in tokens if "code" in token.type or "html" in token.type] == [
        "code_block"
    ]
    return "\n".join(token.content for token in tokens if token.type == "inline")


def _failure(said: Path) -> str:
    return subprocess.run(
        ["python3", "-I", str(CI / "failure.py"), str(said)],
        env=environment(said.parent),
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_an_error_of_no_words_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "error.txt").write_text("\n")
    assert _failure(tmp_path / "error.txt") == (
        "### Contract review: it could not be made\n\n"
        "It said nothing; the log of this run may say more.\n"
    )


def test_a_folder_for_reports_that_cannot_be_used_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    failed = review(tmp_path, "HEAD", tmp_path)
    assert (failed.code, "the reports cannot be written to" in failed.log) == (2, True)
    (tmp_path / "reports").unlink()
    (tmp_path / "reports/comment.md").mkdir(parents=True)
    failed = review(tmp_path, "HEAD", tmp_path)
    assert (failed.code, "of an earlier run, cannot be removed" in failed.log) == (2, True)


def test_without_a_commit_to_compare_with_nothing_is_reviewed(tmp_path: Path) -> None:
    failed = review(tmp_path, "", tmp_path)
    assert (failed.code, "MESHPACT_COMMIT does not say" in failed.log) == (2, True)
    assert not failed.reports.exists()
