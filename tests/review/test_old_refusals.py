"""A base that holds what is refused since: read as protoc reads it, and the report says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from review.reviews import AGAINST, Ran, Repository

Review = Callable[..., Ran]
HASH = ("    audit: {level: AUDIT_LEVEL_DENIALS}\n", "    # audit: {level: AUDIT_LEVEL_DENIALS}\n")
"""protoc ends the service's option at the #: what stands behind it is in force for nobody."""
ACCESS = (
    '    access: {roles: "shop.reader"}\n    deadline',
    '    # who\n    access: {roles: "shop.reader"}\n    deadline',
)


def _commit_bytes(repository: Repository, before: bytes, after: bytes) -> bytes:
    """Commit the contract with a change of its bytes; returns what it was before."""
    whole = repository.contract.read_bytes()
    assert before in whole
    repository.contract.write_bytes(whole.replace(before, after))
    repository.commit("Write what nobody can mean")
    return whole


def test_the_change_that_mends_a_hash_is_reviewed_and_tells_what_was_not_in_force(
    repository: Repository, review: Review
) -> None:
    whole = _commit_bytes(repository, ACCESS[0].encode(), ACCESS[1].encode())
    repository.contract.write_bytes(whole)
    ran = review(*AGAINST, "--json")
    assert ran.code == 0, ran.err
    assert ran.found == {
        (f"shop.v1.Stock/{name}", "policy-added", "note") for name in ("Get", "Put")
    }
    (remark,) = [each for each in ran.json["remarks"] if "#" in each]
    assert "protos/shop/v1/shop.proto:13:5: protoc drops the rest of the option" in remark
    assert 'access: {roles: "shop.reader"}' in remark
    assert "was in force for nobody" in remark
    assert "meshpact-review-" not in remark
    for form in ("markdown", "text"):
        shown = review(*AGAINST, "--format", form).out
        assert "in force for nobody" in shown, form


def test_each_hash_of_a_file_is_told_in_the_one_line(
    repository: Repository, review: Review
) -> None:
    whole = repository.contract.read_bytes()
    repository.replace("    errors: ", "    # sold\n    errors: ")
    repository.replace("audit: {level: AUDIT_LEVEL_DENIALS}", "# audit: none")
    repository.commit("Comment as in Python")
    repository.contract.write_bytes(whole)
    (remark,) = [each for each in review(*AGAINST, "--json").json["remarks"] if "#" in each]
    assert remark.count("drops the rest of the option") == 2
    assert "audit: none" in remark


def test_a_hash_that_is_still_there_is_refused_on_the_new_side(
    repository: Repository, review: Review
) -> None:
    _commit_bytes(repository, HASH[0].encode(), HASH[1].encode())
    ran = review(*AGAINST)
    assert ran.code == 2
    assert "the working tree cannot be reviewed" in ran.err
    assert "# begins no comment" in ran.err
    assert review("--against", "HEAD", "--head", "HEAD").code == 2


def test_the_change_that_mends_a_comment_in_another_encoding_is_reviewed(
    repository: Repository, review: Review
) -> None:
    latin = b"// Stock of the caf\xe9.\nservice Stock {"
    _commit_bytes(repository, b"service Stock {", latin)
    repository.contract.write_bytes(
        repository.contract.read_bytes().decode("latin-1").encode("utf-8")
    )
    ran = review(*AGAINST, "--json")
    assert (ran.code, ran.found) == (0, set()), ran.err
    (remark,) = [each for each in ran.json["remarks"] if "UTF-8" in each]
    assert "protos/shop/v1/shop.proto:11:20: the byte 0xe9 is not UTF-8" in remark
    assert ran.json["semver"]["bump"] == "patch"


def test_bytes_that_are_no_text_outside_of_a_comment_are_refused_on_the_old_side_too(
    repository: Repository, review: Review
) -> None:
    whole = _commit_bytes(
        repository, b"package shop.v1;", b'package shop.v1; option go_package = "caf\xe9";'
    )
    repository.contract.write_bytes(whole)
    ran = review(*AGAINST)
    assert ran.code == 2
    assert "the byte 0xe9 is not UTF-8" in ran.err


def test_an_include_of_the_old_side_is_read_as_protoc_reads_it(
    repository: Repository, review: Review
) -> None:
    shared = repository.top / "shared/kinds.proto"
    shared.parent.mkdir()
    shared.write_bytes(b'syntax = "proto3";\npackage kinds;\n// caf\xe9\nmessage Kind {}\n')
    repository.replace("message PutResponse {}", "message PutResponse { kinds.Kind kind = 1; }")
    repository.replace('import "buf', 'import "kinds.proto";\nimport "buf')
    repository.commit("Share kinds")
    shared.write_bytes(b'syntax = "proto3";\npackage kinds;\n// cafe\nmessage Kind {}\n')
    ran = review(*AGAINST, "--include", "shared", "--json")
    assert (ran.code, ran.found) == (0, set()), ran.err
    assert any("shared/kinds.proto:3:7" in each for each in ran.json["remarks"])


def test_a_folder_as_the_old_side_is_read_the_same_way(
    repository: Repository, review: Review
) -> None:
    old = repository.top.parent / "old"
    (old / "shop/v1").mkdir(parents=True)
    text = repository.contract.read_text().replace(*HASH)
    (old / "shop/v1/shop.proto").write_text(text)
    ran = review("--against", old, "--mesh", "mesh.yaml", "--json")
    assert ran.code in (0, 1), ran.err
    assert any("in force for nobody" in each for each in ran.json["remarks"])


def test_a_log_goes_through_commits_that_are_refused_since(
    repository: Repository, review: Review
) -> None:
    whole = _commit_bytes(repository, ACCESS[0].encode(), ACCESS[1].encode())
    repository.contract.write_bytes(whole)
    repository.commit("Mend it")
    ran = review("--log", "HEAD~2..HEAD", "--mesh", "mesh.yaml", "--json")
    assert ran.code == 0, ran.err
    assert [each for each in ran.json["commits"] if each.get("fault")] == []
    (remark,) = [each for each in ran.json["remarks"] if "#" in each]
    assert "in force for nobody" in remark
    assert "meshpact-log-" not in remark


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_hash_in_a_comment_or_a_text_is_none(
    repository: Repository, review: Review, end: str
) -> None:
    text = repository.contract.read_text().replace(
        "service Stock {", "// #1 of /* all # shops\nservice Stock {"
    )
    text = text.replace('"Only {left} of {sku}."', '"Only # {left} of {sku}."')
    repository.contract.write_bytes(text.replace("\n", end).encode())
    repository.commit("Number it")
    ran = review(*AGAINST, "--json")
    assert (ran.code, ran.found) == (0, set()), ran.err
    assert not any("#" in each for each in ran.json["remarks"])
