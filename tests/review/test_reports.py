"""What a review prints, in each form, and the approvals on file."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meshpact.contracts.review import asjson
from review.reviews import AGAINST, Ran, Repository

Review = Callable[..., Ran]


@pytest.fixture
def changed(repository: Repository) -> Repository:
    """A shop with a change of every class."""
    repository.replace('access: {roles: "shop.writer"}', 'access: {roles: "shop.reader"}')
    repository.replace("default: {seconds: 1}", "default: {seconds: 2}")
    repository.replace("int64 left = 1;", "int32 left = 1;")
    return repository


def _ids(ran: Ran) -> dict[str, str]:
    return {each["id"]: each["class"] for each in ran.json["findings"]}


def _waive(path: Path, ids: list[str], expires: str = "2999-12-31") -> None:
    entries = [
        {"id": each, "reason": "Agreed with desk.", "owner": "anna", "expires": expires}
        for each in ids
    ]
    path.write_text(json.dumps({"waivers": entries}))


def test_json_follows_the_published_schema(changed: Repository, review: Review) -> None:
    schema = json.loads(asjson.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator: Any = jsonschema.Draft202012Validator(schema)
    ran = review(*AGAINST, "--json")
    validator.validate(ran.json)
    assert ran.json["counts"] == {
        "breaks-callers": 2,
        "widens-access": 1,
        "note": 2,
        "waived": 0,
    }
    _waive(changed.top / "review.yaml", list(_ids(ran)))
    validator.validate(review(*AGAINST, "--json").json)


def test_a_comment_begins_with_the_verdict_and_folds_the_rest(
    changed: Repository, review: Review
) -> None:
    lines = review(*AGAINST).out.splitlines()
    assert lines[0] == (
        "### Contract review: needs approval: 2 findings break callers, 1 finding widens access"
    )
    above = lines[: lines.index("<details><summary>All 5 findings</summary>")]
    assert len(above) < 15
    assert any("**widens access**" in line and "`Stock/Put`" in line for line in above)
    assert not any("default" in line for line in above), "notes stand below the fold"


def test_what_a_service_changes_for_many_methods_is_one_line(
    repository: Repository, review: Review
) -> None:
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    above = review(*AGAINST).out.partition("<details>")[0]
    assert above.count("**breaks callers**") == 1
    assert "`Stock`: `Get`, `Put`" in above


def test_a_comment_shows_names_as_they_are_and_fits_a_hosts_limit(
    repository: Repository, review: Review
) -> None:
    fields = "\n".join(
        f"  string {'f' * 400}_{number} = {number} "
        f"[(buf.validate.field).string.pattern = '[a|b]*{number}'];"
        for number in range(10, 130)
    )
    repository.replace("message GetRequest { string sku = 1; }", f"message GetRequest {{{fields}}}")
    repository.commit("Grow")
    repository.replace("[a|b]*", "[a|b|<c>]*")
    out = review(*AGAINST).out
    assert len(out) < 65_536
    assert "more: `meshpact review --format json` has all" in out
    rows = [line for line in out.splitlines() if line.startswith("| breaks")]
    assert all(line.count(" | ") == 3 for line in rows)
    assert "<c>" not in out


def test_names_of_a_mesh_cannot_break_out_of_a_comment(
    repository: Repository, review: Review
) -> None:
    hostile = "x`|</details><img src=x> @acme/all &lt;b&gt; [a](http://evil) __b__"
    mesh = repository.top / "mesh.yaml"
    subject = json.dumps({"issuer": "https://issuer.example", "name": hostile})
    repository.replace("users: [anna]", f"users: [anna, {subject}]", path=mesh)
    issuer = json.dumps({"issuer": hostile, "file": "j.json", "audiences": ["a"]})
    repository.replace("issuers:\n", f"issuers:\n  - {issuer}\n", path=mesh)
    text = mesh.read_text()
    for name in ("anna", "staff"):
        whole = f"{{issuer: https://issuer.example, name: {name}}}"
        text = text.replace(f"[{name}", f"[{whole}")
    mesh.write_text(text)
    repository.replace(
        'access: {roles: "shop.writer"}',
        'access: {roles: "shop.writer" end_user: END_USER_OPTIONAL}',
    )
    ran = review(*AGAINST)
    out = ran.out
    assert "&#8203;acme/all" in out, ran.err
    escaped = re.sub(r"\\.", "", out)
    assert all(line.count("`") % 2 == 0 for line in escaped.splitlines())
    bare = re.sub(r"`[^`]*`", "", escaped)  # code is shown as it is
    assert bare.count("</details>") == 1
    for dangerous in ("<img", "@acme", "](http", "&lt;"):
        assert dangerous not in bare
    for row in (line for line in bare.splitlines() if line.startswith("|")):
        assert row.count("|") == 5, row


def test_a_comment_stays_short_with_many_stale_waivers_and_long_texts(
    repository: Repository, review: Review
) -> None:
    rule = "string sku = 1 [(buf.validate.field).string.pattern = '{}'];"
    before, after = rule.format("a" * 5_000), rule.format("b" * 5_000)
    repository.replace(
        "message GetRequest { string sku = 1; }", f"message GetRequest {{ {before} }}"
    )
    repository.commit("Grow")
    repository.replace(before, after)
    _waive(repository.top / "review.yaml", [f"{number:016x}" for number in range(2000)])
    out = review(*AGAINST).out
    assert len(out) < 65_536
    assert "and 1992 more waivers that are out of date" in out
    assert out.startswith("### Contract review: needs approval")


def test_annotations_and_sarif_have_the_classes_as_levels(
    changed: Repository, review: Review
) -> None:
    annotations = review(*AGAINST, "--format", "github").out.splitlines()
    kinds = [line.split(" ", 1)[0] for line in annotations]
    assert sorted(kinds) == ["::error", "::error", "::notice", "::notice", "::warning"]
    run = json.loads(review(*AGAINST, "--format", "sarif").out)["runs"][0]
    assert {each["level"] for each in run["results"]} == {"error", "warning", "note"}
    assert {each["ruleId"] for each in run["results"]} >= {"role-added", "FIELD_SAME_TYPE"}


def test_gitlab_gets_a_code_quality_report(changed: Repository, review: Review) -> None:
    found = json.loads(review(*AGAINST, "--format", "gitlab").out)
    assert {each["severity"] for each in found} == {"major", "minor", "info"}
    assert {each["location"]["path"] for each in found} == {"protos/shop/v1/shop.proto"}
    assert all(each["location"]["lines"]["begin"] > 0 for each in found)
    assert len({each["fingerprint"] for each in found}) == len(found) == 5
    changed.git("checkout", "-q", "protos")
    assert json.loads(review(*AGAINST, "--format", "gitlab").out) == []


def test_several_reports_come_from_one_run(
    changed: Repository, review: Review, tmp_path: Path
) -> None:
    written = {name: tmp_path / name for name in ("json", "sarif", "markdown", "text")}
    options = [f"--write={name}={path}" for name, path in written.items()]
    ran = review(*AGAINST, "--format", "github", *options)
    assert ran.out.startswith("::")
    assert json.loads(written["json"].read_text())["command"] == "review"
    assert json.loads(written["sarif"].read_text())["version"] == "2.1.0"
    assert written["markdown"].read_text().startswith("### ")
    assert "needs approval" in written["text"].read_text()


def test_waivers_approve_what_they_name_and_nothing_else(
    changed: Repository, review: Review
) -> None:
    ids = _ids(review(*AGAINST, "--json"))
    breaking = [id_ for id_, impact in ids.items() if impact == "breaks-callers"]
    _waive(changed.top / "review.yaml", breaking)
    ran = review(*AGAINST, "--json")
    assert (ran.code, ran.json["counts"]["breaks-callers"]) == (1, 0)
    _waive(changed.top / "review.yaml", [id_ for id_, impact in ids.items() if impact != "note"])
    ran = review(*AGAINST)
    assert ran.code == 0
    assert "nothing to approve (3 findings approved on file)" in ran.out
    assert "approved by anna until 2999-12-31: Agreed with desk." in ran.out


def test_an_id_outlives_other_lines_and_files_but_not_another_meaning(
    repository: Repository, review: Review
) -> None:
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    ids = _ids(review(*AGAINST, "--json"))
    repository.replace("service Stock {", "// Keeps the stock.\n\nservice Stock {")
    assert _ids(review(*AGAINST, "--json")) == ids
    repository.replace("max: {seconds: 5}", "max: {seconds: 4}")
    assert not _ids(review(*AGAINST, "--json")).keys() & ids.keys()


def test_an_approval_of_some_callers_is_none_of_others(
    repository: Repository, review: Review
) -> None:
    repository.replace('access: {roles: "shop.writer"}', 'access: {roles: "shop.reader"}')
    ran = review(*AGAINST, "--json")
    _waive(repository.top / "review.yaml", list(_ids(ran)))
    assert review(*AGAINST).code == 0
    mesh = repository.top / "mesh.yaml"
    repository.replace("{workloads: [web], ", "{workloads: [web, stranger], ", mesh)
    ran = review(*AGAINST, "--json")
    assert ran.code == 2
    assert ran.json["needsApproval"]
    assert "stranger" in review(*AGAINST).out


def test_an_approval_outlives_a_look_at_who_called(
    repository: Repository, review: Review, tmp_path: Path
) -> None:
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    trail = tmp_path / "web.jsonl"
    trail.write_text('{"event": "begin"}\n')
    assert _ids(review(*AGAINST, "--json")) == _ids(review(*AGAINST, "--audit", trail, "--json"))


def test_no_two_findings_share_an_id(repository: Repository, review: Review) -> None:
    """buf says the same of fields of two messages of the same short name."""
    nested = "message {0} {{ message In {{ string a = 1; string b = 2; }} }}\n"
    both = "".join(nested.format(name) for name in ("One", "Two"))
    repository.contract.write_text(repository.contract.read_text() + both)
    repository.commit("Nest")
    repository.replace(" string b = 2;", "")
    ran = review(*AGAINST, "--json")
    assert len(_ids(ran)) == len(ran.json["findings"]) > 1


def test_a_waiver_that_expired_or_fits_nothing_is_an_error(
    changed: Repository, review: Review
) -> None:
    ids = _ids(review(*AGAINST, "--json"))
    today = datetime.datetime.now(datetime.UTC).date()
    path = changed.top / "review.yaml"
    _waive(path, list(ids), str(today - datetime.timedelta(days=1)))
    ran = review(*AGAINST, "--json")
    assert ran.code == 2
    assert len(ran.json["staleWaivers"]) == len(ids)
    assert ran.json["needsApproval"]
    assert "expired on" in ran.err
    _waive(path, list(ids), str(today + datetime.timedelta(days=1)))
    assert review(*AGAINST).code == 0
    _waive(path, [*ids, "0" * 16])
    ran = review(*AGAINST)
    assert (ran.code, "fits no finding: delete it" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "must have the keys"),
        ("wires: FILE", "Did you mean"),
        ("wire: WIDE", "allowed: FILE, PACKAGE, WIRE_JSON, WIRE"),
        ("waivers: 7", "must be a list"),
        ("waivers: [{id: abcd}]", "lacks reason, owner, expires"),
        ("waivers: [{id: '0123456789abcdef', reason: r, owner: o}]", "lacks expires"),
        ("waivers: [{id: x, reason: r, owner: o, expires: 2030-01-01}]", "16 hexadecimal digits"),
        ("waivers: [{id: '0123456789abcdef', reason: r, owner: o, expires: soon}]", "2030-12-31"),
        ("waivers: [{id: '0123456789abcdef', ticket: r}]", "has ticket"),
        (
            "waivers: [{id: '0123456789abcdef', reason: ' ', owner: o, expires: 2030-01-01}]",
            "lacks reason",
        ),
        (
            "waivers: [{id: '0123456789abcdef', reason: r, owner: '', expires: 2030-01-01}]",
            "lacks owner",
        ),
        (
            "waivers: [{id: '0123456789abcdef', reason: r, owner: o, expires: 2030-01-01},"
            " {id: '0123456789abcdef', reason: s, owner: p, expires: 2031-01-01}]",
            "waived twice",
        ),
        ("{", "is no YAML"),
    ],
)
def test_a_faulty_review_file_is_refused_with_what_is_allowed(
    repository: Repository, review: Review, text: str, said: str
) -> None:
    (repository.top / "review.yaml").write_text(text)
    ran = review(*AGAINST)
    assert ran.code == 2
    assert said.lower() in ran.err.lower()
    assert "review.yaml" in ran.err


@pytest.mark.parametrize("category", ["FILE", "PACKAGE", "WIRE_JSON", "WIRE"])
def test_the_wire_is_held_to_the_category_asked_for(
    repository: Repository, review: Review, category: str
) -> None:
    """A field that only changed its name: the wire does not know names, JSON does."""
    (repository.top / "review.yaml").write_text(f"wire: {category}\n")
    repository.replace("int64 left = 1;", "int64 rest = 1;")
    assert review(*AGAINST).code == (0 if category == "WIRE" else 1)
