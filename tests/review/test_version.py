"""Which semantic version a change of contracts asks for, and what decides it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meshpact.contracts.review import rules
from meshpact.contracts.review.semver import ADDITIVE, OF_MESH
from review.reviews import MESH, Ran, Repository

Review = Callable[..., Ran]

PUT = 'access: {roles: "shop.writer"}'
EDITS = {
    "nothing": ("message PutResponse {}", "message PutResponse {}", "none"),
    "white space": ("message PutResponse {}", "message PutResponse {\n}", "none"),
    "a comment": ("message PutResponse {}", "// Done.\nmessage PutResponse {}", "patch"),
    "an option that nobody sees": (
        "package shop.v1;",
        'package shop.v1; option java_package = "shop";',
        "major",
    ),
    "a note": ("{seconds: 1} max", "{seconds: 2} max", "patch"),
    "a field": ("int64 left = 1;", "int64 left = 1; string note = 2;", "minor"),
    "a message": ("message PutResponse {}", "message PutResponse {}\nmessage More {}", "minor"),
    "an enum value": (
        "STOCK_ERROR_UNSPECIFIED = 0;",
        "STOCK_ERROR_UNSPECIFIED = 0; STOCK_ERROR_CLOSED = 2;",
        "minor",
    ),
    "a method": (
        "rpc Get(GetRequest)",
        "rpc Look(GetRequest) returns (GetResponse);\n  rpc Get(GetRequest)",
        "minor",
    ),
    "a further role": (PUT, 'access: {roles: "shop.writer" roles: "shop.reader"}', "minor"),
    "a looser rule": ("max_len = 20", "max_len = 30", "minor"),
    "a tighter rule": ("max_len = 20", "max_len = 10", "major"),
    "a lower deadline": ("max: {seconds: 10}", "max: {seconds: 5}", "major"),
    "another type": ("int64 left = 1;", "int32 left = 1;", "major"),
}


@pytest.mark.parametrize("edit", EDITS, ids=lambda name: name.replace(" ", "-"))
def test_the_worst_class_of_a_change_decides_the_version(
    repository: Repository, review: Review, edit: str
) -> None:
    before, after, bump = EDITS[edit]
    repository.replace(before, after)
    semver = review("--against", "HEAD", "--json").json["semver"]
    assert semver["bump"] == bump
    assert bool(semver["because"]) == (bump != "none")


def test_a_version_names_the_findings_that_decide_it(
    repository: Repository, review: Review
) -> None:
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    repository.replace("int64 left = 1;", "int64 left = 1; string note = 2;")
    ran = review("--against", "HEAD", "--json")
    semver = ran.json["semver"]
    assert (semver["bump"], semver["beforeOne"]) == ("major", "minor")
    breaking = {each["id"] for each in ran.json["findings"] if each["class"] == "breaks-callers"}
    assert {each["finding"] for each in semver["because"]} == breaking
    why = "`Stock/Get` and 1 more: a call may take 5 s at most"
    assert f"- Version: **major** (before 1.0: minor): {why}" in review("--against", "HEAD").out
    assert "version: major\n" in review("--against", "HEAD", "--format", "text").out


def test_additions_that_no_finding_tells_are_named(repository: Repository, review: Review) -> None:
    repository.replace("int64 left = 1;", "int64 left = 1; string note = 2;")
    semver = review("--against", "HEAD", "--json").json["semver"]
    assert semver["because"] == [
        {
            "rule": "added",
            "subject": "shop.v1.GetResponse.note",
            "message": "field is new",
            "finding": "",
        }
    ]


def test_what_a_new_message_holds_is_not_told_again(repository: Repository, review: Review) -> None:
    more = "message More { message In { int32 a = 1; } In in = 1; enum E { E_UNSPECIFIED = 0; } }"
    repository.replace("message PutResponse {}", f"message PutResponse {{}}\n{more}")
    because = review("--against", "HEAD", "--json").json["semver"]["because"]
    assert [each["subject"] for each in because] == ["shop.v1.More"]


def test_a_message_that_moved_is_no_addition(repository: Repository, review: Review) -> None:
    repository.replace("GetResponse", "FoundStock")
    because = review("--against", "HEAD", "--json").json["semver"]["because"]
    assert "added" not in {each["rule"] for each in because}


def test_an_approval_does_not_change_the_version(repository: Repository, review: Review) -> None:
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    ids = [each["id"] for each in review("--against", "HEAD", "--json").json["findings"]]
    waivers = "\n".join(
        f'- {{id: "{each}", reason: Agreed., owner: anna, expires: 2999-12-31}}' for each in ids
    )
    (repository.top / "review.yaml").write_text(f"waivers:\n{waivers}\n")
    ran = review("--against", "HEAD", "--json")
    assert (ran.code, ran.json["semver"]["bump"]) == (0, "major")


def test_bindings_are_no_part_of_the_contracts(repository: Repository, review: Review) -> None:
    (repository.top / "mesh.yaml").write_text(MESH.replace("workloads: [web]", "workloads: []"))
    ran = review("--against", "HEAD", "--mesh", "mesh.yaml", "--json")
    assert (ran.code, ran.json["semver"]["bump"]) == (1, "none")


@pytest.mark.parametrize(
    ("edit", "current", "following"),
    [
        ("another type", "1.4.2", "2.0.0"),
        ("a field", "v1.4.2", "1.5.0"),
        ("a comment", "1.4.2", "1.4.3"),
        ("nothing", "1.4.2", "1.4.2"),
        ("another type", "0.4.2", "0.5.0"),
        ("a field", "0.4.2", "0.4.3"),
        ("a comment", "0.4.2", "0.4.3"),
        ("another type", "0.0.7", "0.0.8"),
        ("a field", "1.4.2+build.7", "1.5.0"),
    ],
)
def test_the_next_version_follows_the_current_one(
    repository: Repository, review: Review, edit: str, current: str, following: str
) -> None:
    repository.replace(*EDITS[edit][:2])
    options = ("--against", "HEAD", "--current-version", current)
    assert review(*options, "--json").json["semver"]["next"] == following
    assert f"- Version: **{following}** after " in review(*options).out


@pytest.mark.parametrize("current", ["1.4", "1.4.2-rc.1", "01.4.2", "latest", "9" * 99 + ".0.0"])
def test_what_is_no_released_version_is_refused(
    repository: Repository, review: Review, current: str
) -> None:
    ran = review("--against", "HEAD", "--current-version", current)
    assert ran.code == 2
    assert "write the three numbers of the last release, as in 1.4.2" in ran.err
    assert len(ran.err) < 300


def test_every_rule_that_is_named_exists() -> None:
    assert rules.RULES.keys() >= ADDITIVE
    for start in OF_MESH:
        assert any(rule.startswith(start) for rule in rules.RULES)
