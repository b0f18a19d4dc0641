"""A changelog of contracts over a range of commits."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meshpact.contracts import image
from meshpact.contracts.review import asjson, logoutput
from review.reviews import SHOP, Ran, Repository

Review = Callable[..., Ran]
READERS = 'access: {roles: "shop.writer" roles: "shop.reader"}'
WRITERS = 'access: {roles: "shop.writer"}'


@pytest.fixture
def history(repository: Repository) -> Repository:
    """A shop with a commit of each kind since the tag `v1`."""
    repository.git("tag", "v1")
    repository.replace("int64 left = 1;", "int64 left = 1; string note = 2;")
    repository.commit("Say more of stock")
    (repository.top / "README.md").write_text("A shop.\n")
    repository.commit("Write a page")
    repository.replace(WRITERS, READERS)
    repository.commit("Let readers put")
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    repository.commit("Be quicker")
    return repository


def _subjects(ran: Ran) -> list[str]:
    return [each["subject"] for each in ran.json["commits"]]


def _rules(commit: Any, area: str) -> set[str]:
    return {each["rule"] for each in commit[area]}


def test_a_log_tells_commit_by_commit_what_changed_where(
    history: Repository, review: Review
) -> None:
    ran = review("--log", "v1..HEAD", "--mesh", "mesh.yaml", "--json")
    assert ran.code == 0, ran.err
    assert _subjects(ran) == ["Be quicker", "Let readers put", "Say more of stock"]
    assert ran.json["commitsLookedAt"] == 4
    quicker, readers, more = ran.json["commits"]
    assert _rules(quicker, "policy") == {"max-deadline-lowered"}
    assert _rules(readers, "access") == {"role-added"}
    assert readers["access"][0]["touched"][0]["who"] == "web"
    assert [(each["kind"], each["name"]) for each in more["added"]] == [
        ("field", "shop.v1.GetResponse.note")
    ]
    assert more["added"][0]["file"] == "protos/shop/v1/shop.proto"
    assert more["added"][0]["line"] > 0
    assert [each["semver"]["bump"] for each in ran.json["commits"]] == ["major", "minor", "minor"]
    assert ran.json["semver"]["bump"] == "major"
    assert {each["rule"] for each in ran.json["semver"]["because"]} == {"max-deadline-lowered"}


def test_places_are_those_of_the_commit(history: Repository, review: Review) -> None:
    ran = review("--log", "v1..HEAD", "--json")
    (finding,) = ran.json["commits"][1]["access"]
    shown = history.git("show", f"HEAD~1:{finding['file']}").splitlines()
    assert READERS in shown[finding["line"] - 1]


def test_a_log_reads_as_markdown(history: Repository, review: Review) -> None:
    out = review("--log", "v1..HEAD", "--mesh", "mesh.yaml", "--current-version", "1.2.3").out
    lines = out.splitlines()
    assert lines[0].startswith("# Contracts from v1 (")
    assert lines[2].startswith("- Version: **2.0.0** after 1.2.3 (major): ")
    assert lines[3] == "- 3 of 4 commits change contracts"
    assert "- wire: new field: `GetResponse.note`" in lines
    assert any(line.startswith("- access: **widens access**: `Stock/Put`: ") for line in lines)
    assert any("(gain it: web)" in line for line in lines)


def test_the_json_follows_the_published_schema(history: Repository, review: Review) -> None:
    schema = json.loads(logoutput.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator: Any = jsonschema.Draft202012Validator(schema)
    validator.validate(review("--log", "v1..HEAD", "--mesh", "mesh.yaml", "--json").json)
    history.replace("message GetRequest", "massage GetRequest")
    history.commit("Break it")
    validator.validate(review("--log", "v1..HEAD", "--json").json)
    shared = json.loads(asjson.schema())["$defs"]
    assert {name: schema["$defs"][name] for name in shared} == shared


def test_a_merge_is_one_entry_and_names_what_it_merges(
    repository: Repository, review: Review
) -> None:
    repository.git("tag", "v1")
    repository.git("switch", "-q", "-c", "change")
    repository.replace(WRITERS, READERS)
    tip = repository.commit("Let readers put")
    repository.replace("max_len = 20", "max_len = 30")
    tip = repository.commit("Take longer names")
    repository.git("switch", "-q", "main")
    (repository.top / "README.md").write_text("A shop.\n")
    repository.commit("Write a page")
    repository.git("merge", "-q", "--no-ff", "-m", "Merge pull request 7", "change")
    ran = review("--log", "v1..HEAD", "--json")
    (merge,) = ran.json["commits"]
    assert (merge["subject"], merge["merge"], merge["parents"][1]) == (
        "Merge pull request 7",
        True,
        tip,
    )
    assert _rules(merge, "access") | _rules(merge, "policy") == {
        "role-added",
        "validation-loosened",
    }
    assert f"merges `{tip[:12]}`" in review("--log", "v1..").out


def test_a_commit_that_does_not_compile_is_told_and_the_log_goes_on(
    history: Repository, review: Review
) -> None:
    history.replace("message GetRequest", "massage GetRequest")
    broken = history.commit("Break it")
    history.replace("massage GetRequest", "message GetRequest")
    history.replace("max_len = 20", "max_len = 30")
    history.commit("Mend it")
    ran = review("--log", "HEAD~3..HEAD", "--json")
    assert ran.code == 0
    mended, unread, quicker = ran.json["commits"]
    assert unread["commit"] == broken
    assert f"{broken[:12]}:protos/shop/v1/shop.proto:" in unread["fault"]
    assert unread["semver"] is None
    assert _rules(mended, "policy") == {"validation-loosened"}
    assert _rules(quicker, "policy") == {"max-deadline-lowered"}
    assert ran.json["semver"]["bump"] == "major"
    out = review("--log", "HEAD~3..HEAD").out
    assert "The contracts of this commit are not compared:" in out


def test_without_contracts_that_compile_at_an_end_no_version_is_suggested(
    history: Repository, review: Review
) -> None:
    history.replace("message GetRequest", "massage GetRequest")
    history.commit("Break it")
    ran = review("--log", "v1..HEAD", "--json")
    assert (ran.code, ran.json["semver"]) == (0, None)
    assert "no version can be suggested" in ran.json["remarks"][0]
    history.replace("massage GetRequest", "message GetRequest")
    history.commit("Mend it")
    ran = review("--log", "HEAD~1..HEAD", "--json")
    assert ran.json["commits"][0]["fault"] == "can be read, and nothing before it: not compared"


def test_what_comes_and_goes_is_in_the_log_and_not_in_the_version(
    history: Repository, review: Review
) -> None:
    history.replace("max: {seconds: 5}", "max: {seconds: 10}")
    history.replace(READERS, WRITERS)
    history.commit("Take it back")
    ran = review("--log", "v1..HEAD", "--json")
    assert len(ran.json["commits"]) == 4
    assert ran.json["semver"]["bump"] == "minor", "only the new field is left"


def test_a_tree_that_comes_again_is_not_compiled_again(
    history: Repository, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        history.replace("max: {seconds: 5}", "max: {seconds: 6}")
        history.commit(f"Be slower {number}")
        history.replace("max: {seconds: 6}", "max: {seconds: 5}")
        history.commit(f"Be quicker {number}")
    runs: list[tuple[str, ...]] = []
    protoc = image.run_protoc

    def counted(*arguments: str) -> Any:
        runs.append(arguments)
        return protoc(*arguments)

    monkeypatch.setattr(image, "run_protoc", counted)
    ran = review("--log", "v1..HEAD", "--json")
    assert len(ran.json["commits"]) == 9
    assert len(runs) == 5, "one for each tree that there ever was"


def test_a_change_of_mesh_yaml_or_of_what_it_names_is_in_the_log(
    history: Repository, review: Review
) -> None:
    mesh = history.top / "mesh.yaml"
    mesh.write_text(mesh.read_text() + "bindings_file: bindings.jsonl\n")
    binding = '{"role": "shop.writer", "workload": "spiffe://shop.example/stranger"}\n'
    (history.top / "bindings.jsonl").write_text(binding)
    history.commit("Bind elsewhere")
    (history.top / "bindings.jsonl").write_text("")
    history.commit("Bind nobody")
    (history.top / "bindings.jsonl").write_text("nobody\n")
    broken = history.commit("Bind badly")
    ran = review("--log", "HEAD~3..HEAD~1", "--mesh", "mesh.yaml", "--json")
    assert [_rules(each, "access") for each in ran.json["commits"]] == [
        {"binding-removed"},
        {"binding-added"},
    ]
    assert ran.json["semver"]["bump"] == "none"
    ran = review("--log", "HEAD~1..HEAD", "--mesh", "mesh.yaml", "--json")
    assert ran.json["commits"][0]["fault"].startswith(f"{broken}:bindings.jsonl:1: found 'nobody'")


def test_a_branch_is_logged_from_where_it_left(history: Repository, review: Review) -> None:
    history.git("switch", "-q", "-c", "change", "HEAD~1")
    history.replace("max_len = 20", "max_len = 30")
    history.commit("Take longer names")
    ran = review("--log", "main..change", "--json")
    assert _subjects(ran) == ["Take longer names"]
    assert ran.json["semver"]["bump"] == "minor"
    assert "the log begins where both went their ways" in ran.json["remarks"][0]


def test_the_working_tree_is_left_alone(history: Repository, review: Review) -> None:
    history.replace("int64 left = 1;", "int32 left = 1;")
    before = history.state()
    assert review("--log", "v1..HEAD", "--mesh", "mesh.yaml").code == 0
    assert history.state() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--log", "v1..nowhere"), "git has no commit 'nowhere'"),
        (("--log", "nowhere..HEAD"), "git has no commit 'nowhere'"),
        (("--log", "HEAD..v1"), "turn the range around, v1..HEAD"),
        (("--log", "v1"), "write A..B"),
        (("--log", "v1...HEAD"), "write A..B"),
        (("--log", "..HEAD"), "write A..B"),
        (("--log", "--output=x..HEAD"), "is no reference of git"),
        (("--log", "v1..HEAD", "--against", "v1"), "give one of --against"),
        ((), "give one of --against"),
        (("--log", "v1..HEAD", "--head", "HEAD"), "--log takes no --head"),
        (("--log", "v1..HEAD", "--format", "sarif"), "There are: markdown, json"),
    ],
    ids=str,
)
def test_what_cannot_be_logged_is_wrong_use(
    history: Repository, review: Review, arguments: tuple[str, ...], said: str
) -> None:
    ran = review(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_a_range_without_commits_is_empty(history: Repository, review: Review) -> None:
    ran = review("--log", "HEAD..HEAD", "--json")
    assert (ran.code, ran.json["commits"], ran.json["semver"]["bump"]) == (0, [], "none")


def test_histories_without_a_common_commit_are_wrong_use(
    history: Repository, review: Review
) -> None:
    history.git("switch", "-q", "--orphan", "other")
    history.contract.parent.mkdir(parents=True)
    history.contract.write_text(SHOP)
    history.commit("Begin elsewhere")
    ran = review("--log", "v1..other")
    assert (ran.code, "have no commit in common" in ran.err) == (2, True)


@pytest.mark.parametrize("range_", ["HEAD~1..HEAD", "v1..HEAD", "{cut}..HEAD"])
def test_a_shallow_clone_says_how_to_get_the_rest(
    history: Repository,
    review: Review,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    range_: str,
) -> None:
    clone = tmp_path / "clone"
    history.git("clone", "-q", "--depth=1", f"file://{history.top}", str(clone))
    history.git("fetch", "-q", "--depth=1", "origin", "v1:cut", cwd=clone)
    cut = history.git("rev-parse", "cut", cwd=clone)
    monkeypatch.chdir(clone)
    ran = review("--log", range_.format(cut=cut))
    assert ran.code == 2
    assert "this clone is shallow" in ran.err
    assert "git fetch --unshallow" in ran.err


def test_a_hostile_subject_is_shown_as_it_is(repository: Repository, review: Review) -> None:
    repository.replace("max_len = 20", "max_len = 30")
    repository.commit("Take <img src=x> [a](b) `c`\x1b[31m | more")
    out = review("--log", "HEAD~1..HEAD").out
    assert r"\<img src=x\>" in out
    assert "\x1b" not in out
    assert r"\[a\](b)" in out


def test_the_how_to_shows_a_log_as_it_is(repository: Repository, review: Review) -> None:
    repository.git("tag", "v1.2.0")
    repository.replace("int64 left = 1;", "int64 left = 1; string note = 2;")
    repository.commit("Say more of stock")
    repository.git("switch", "-q", "-c", "change")
    repository.replace(WRITERS, READERS)
    repository.commit("Let readers put")
    repository.git("switch", "-q", "main")
    for text in ("A shop.\n", "A good shop.\n"):
        (repository.top / "README.md").write_text(text)
        repository.commit("Write a page")
    repository.git("merge", "-q", "--no-ff", "-m", "Merge pull request 7", "change")
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    repository.commit("Be quicker")
    options = ("--mesh", "mesh.yaml", "--current-version", "1.2.0")
    shown = review("--log", "v1.2.0..HEAD", *options).out
    page = (Path(__file__).parents[2] / "docs/how-to/review-a-change.md").read_text()
    (written,) = re.findall(r"```markdown\n(# Contracts from .*?)\n```", page, re.DOTALL)
    assert _without_chance(written) == _without_chance(shown)


def _without_chance(text: str) -> list[str]:
    """Without commits, days and authors."""
    text = re.sub(r"\b[0-9a-f]{12}\b", "x", text)
    return re.sub(r"^\d{4}-\d\d-\d\d · \w+", "then", text, flags=re.MULTILINE).split()
