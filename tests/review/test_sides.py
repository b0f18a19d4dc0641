"""Where the two sides come from: git, folders, images; and what cannot be read is said."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from meshpact.contracts import roots
from meshpact.contracts.image import compile_image
from meshpact.contracts.review import sides
from review.reviews import AGAINST, HEAD, SHOP, Ran, Repository, write

Review = Callable[..., Ran]
WIDER = ('roles: "shop.writer"', 'roles: "shop.writer" roles: "shop.reader"')
FOUND = ("shop.v1.Stock/Put", "role-added", "widens-access")


def test_what_did_not_change_needs_no_approval(repository: Repository, review: Review) -> None:
    ran = review("--against", "main", "--json")
    assert (ran.code, ran.json["findings"]) == (0, [])
    assert "nothing to approve" in review("--against", "HEAD").out


def test_the_working_tree_is_held_against_a_commit_and_left_alone(
    repository: Repository, review: Review
) -> None:
    repository.replace(*WIDER)
    (repository.top / "protos/shop/v1/untracked.proto").write_text(
        'syntax = "proto3";\npackage shop.v1;\nmessage More {}\n'
    )
    before = repository.state()
    ran = review("--against", "HEAD", "--json")
    assert (ran.code, ran.found) == (1, {FOUND})
    assert repository.state() == before


def test_a_finding_names_its_line_in_the_working_tree(
    repository: Repository, review: Review
) -> None:
    repository.replace(*WIDER)
    finding = review("--against", "HEAD", "--json").finding("role-added")
    line = next(
        number
        for number, text in enumerate(repository.contract.read_text().splitlines(), 1)
        if WIDER[1] in text
    )
    assert (finding["file"], finding["line"]) == ("protos/shop/v1/shop.proto", line)


def test_a_branch_is_held_against_where_it_left_the_other(
    repository: Repository, review: Review
) -> None:
    repository.git("switch", "-q", "-c", "change")
    repository.replace(*WIDER)
    repository.commit("Let readers put")
    repository.git("switch", "-q", "main")
    repository.replace("max: {seconds: 10}", "max: {seconds: 5}")
    repository.commit("Be quicker")
    repository.git("switch", "-q", "change")
    assert review("--against", "main", "--json").found == {FOUND}


def test_a_pull_request_is_reviewed_by_its_refs_alone(
    repository: Repository, review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare server that keeps refs/pull/1/head, as hosts of git do, and a clone on main."""
    repository.git("switch", "-q", "-c", "change")
    repository.replace(*WIDER)
    repository.commit("Let readers put")
    server, clone = tmp_path / "server.git", tmp_path / "clone"
    repository.git("clone", "-q", "--bare", str(repository.top), str(server))
    repository.git("update-ref", "refs/pull/1/head", "change", cwd=server)
    repository.git("update-ref", "-d", "refs/heads/change", cwd=server)
    repository.git("clone", "-q", "-b", "main", str(server), str(clone))
    repository.git("fetch", "-q", "origin", "refs/pull/1/head:refs/pull/1/head", cwd=clone)
    monkeypatch.chdir(clone)
    ran = review("--against", "origin/main", "--head", "refs/pull/1/head", "--json")
    assert (ran.code, ran.found) == (1, {FOUND})
    assert repository.git("status", "--porcelain", cwd=clone) == ""


def test_a_shallow_clone_says_how_to_get_the_base(
    repository: Repository, review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = repository.git("rev-parse", "HEAD")
    repository.replace(*WIDER)
    repository.commit("Let readers put")
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth=1", f"file://{repository.top}", str(clone))
    monkeypatch.chdir(clone)
    ran = review("--against", base)
    assert ran.code == 2
    assert "shallow" in ran.err
    assert "git fetch --depth=1 origin" in ran.err


def test_a_mesh_that_cannot_be_read_is_named_where_it_stands(
    repository: Repository, review: Review
) -> None:
    mesh = repository.top / "mesh.yaml"
    whole = mesh.read_text()
    mesh.write_text("trust_domain: [\n")
    ran = review(*AGAINST)
    assert ran.code == 2
    assert ran.err.startswith("meshpact: mesh.yaml:2: ")
    commit = repository.commit("Break it")
    mesh.write_text(whole)
    ran = review(*AGAINST)
    assert ran.code == 2
    assert ran.err.startswith(f"meshpact: {commit}:mesh.yaml:2: ")


def test_a_shallow_clone_asks_no_remote_for_a_name_that_only_a_clone_knows(
    repository: Repository, review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth=1", f"file://{repository.top}", str(clone))
    monkeypatch.chdir(clone)
    ran = review("--against", "HEAD~1")
    assert ran.code == 2
    assert "git fetch --unshallow brings it" in ran.err


def test_a_shallow_clone_is_reviewed_once_the_base_is_there(
    repository: Repository, review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.git("switch", "-q", "-c", "change")
    repository.replace(*WIDER)
    repository.commit("Let readers put")
    clone = tmp_path / "clone"
    repository.git("clone", "-q", "--depth=1", f"file://{repository.top}", str(clone))
    fetched = ("fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main")
    repository.git(*fetched, cwd=clone)
    monkeypatch.chdir(clone)
    assert review("--against", "origin/main", "--json").found == {FOUND}


def test_folders_are_named_by_the_contracts_or_by_what_holds_them(
    repository: Repository, review: Review, tmp_path: Path
) -> None:
    write(tmp_path / "old/protos", SHOP)
    repository.replace(*WIDER)
    for side in (tmp_path / "old", tmp_path / "old/protos"):
        assert review("--against", side, "--json").found == {FOUND}


def test_an_image_is_a_side(repository: Repository, review: Review, tmp_path: Path) -> None:
    image = compile_image([Path("protos")])
    repository.replace(*WIDER)
    for content in (image.buf_bytes, FileDescriptorSet(file=image.files).SerializeToString()):
        (tmp_path / "old.binpb").write_bytes(content)
        assert review("--against", tmp_path / "old.binpb", "--json").found == {FOUND}


def test_a_folder_that_had_another_name_is_found_by_that(
    repository: Repository, review: Review
) -> None:
    repository.git("mv", "protos", "contracts")
    repository.replace(*WIDER, path=repository.top / "contracts/shop/v1/shop.proto")
    refused = review("--against", "HEAD", "--protos", "contracts")
    assert refused.code == 2
    assert "--against-protos DIR" in refused.err
    named = ("--protos", "contracts", "--against-protos", "protos", "--json")
    assert review("--against", "HEAD", *named).found == {FOUND}


def test_a_link_inside_the_tree_is_followed_on_both_sides(
    repository: Repository, review: Review
) -> None:
    target = repository.top / "protos/shop/v1/shop.proto"
    real = repository.top / "protos/real.txt"
    target.rename(real)
    target.symlink_to("../../real.txt")
    repository.commit("Keep the contract elsewhere")
    repository.replace(*WIDER, path=real)
    assert review("--against", "HEAD", "--json").found == {FOUND}


@pytest.mark.parametrize("committed", [True, False], ids=["in git", "in the working tree"])
def test_a_link_out_of_the_tree_is_refused(
    repository: Repository, review: Review, tmp_path: Path, committed: bool
) -> None:
    outside = tmp_path / "outside.proto"
    outside.write_text(SHOP)
    repository.contract.unlink()
    repository.contract.symlink_to(outside)
    if committed:
        repository.commit("Link out")
        repository.contract.unlink()
        repository.contract.write_text(SHOP)
    ran = review("--against", "HEAD")
    assert ran.code == 2
    assert "is a link to" in ran.err
    assert "shop.proto" in ran.err


BAD = {
    "unparsable": ("service Broken {", "1:"),
    "cyclic": ('syntax = "proto3";\nimport "shop/v1/bad.proto";\n', "imports"),
    "binary": ("\x00\x01\x02\udcff", "shop/v1/bad.proto"),
    "an option twice": (
        HEAD.replace("shop.v1", "bad.v1")
        + "service S { option (meshpact.policy.v1.service) = {deadline: {default: {seconds: 1}}};"
        "option (meshpact.policy.v1.service) = {deadline: {default: {seconds: 2}}}; }",
        "already",
    ),
    "one symbol in two files": (SHOP, "already defined"),
    "a newer policy": (
        HEAD.replace("shop.v1", "bad.v1")
        + "service S { option (meshpact.policy.v1.service) = {colour: 7}; }",
        "colour",
    ),
    "a policy that contradicts itself": (
        HEAD.replace("shop.v1", "bad.v1")
        + "message E {} service S { rpc Do(E) returns (E) { option (meshpact.policy.v1.method) = "
        "{access: {}}; } }",
        "bad.v1.S/Do",
    ),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("broken", ["old", "new"])
def test_contracts_that_do_not_compile_are_told_with_their_side_and_line(
    repository: Repository, review: Review, name: str, broken: str
) -> None:
    text, said = BAD[name]
    bad = repository.top / "protos/shop/v1/bad.proto"
    if broken == "old":
        bad.write_bytes(os.fsencode(text))
        repository.commit("Break it")
        bad.unlink()
    else:
        bad.write_bytes(os.fsencode(text))
    before = repository.state()
    ran = review("--against", "HEAD")
    assert ran.code == 2, ran.out
    assert said in ran.err
    assert "bad.proto" in ran.err or "shop.proto" in ran.err
    assert ("HEAD" in ran.err) is (broken == "old")
    assert "meshpact-review-" not in ran.err
    assert repository.state() == before


def test_two_roots_with_one_path_are_refused(repository: Repository, review: Review) -> None:
    write(repository.top / "more", SHOP)
    ran = review("--against", "HEAD", "--protos", "protos", "--protos", "more")
    assert ran.code == 2
    assert "stands in two roots" in ran.err or "no .proto file below more" in ran.err


def _image_with(field: int, number: int) -> bytes:
    """An image whose policy has a field, or an enum value, that this version does not know."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    from meshpact.policy.v1 import policy_pb2 as pb

    files = [FileDescriptorProto.FromString(pb.DESCRIPTOR.serialized_pb)]
    for dependency in ("descriptor", "duration"):
        module = __import__(f"google.protobuf.{dependency}_pb2", fromlist=["DESCRIPTOR"])
        files.insert(0, FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb))
    own = FileDescriptorProto(name="new/v1/new.proto", package="new.v1", syntax="proto3")
    own.dependency.append("meshpact/policy/v1/policy.proto")
    service = own.service.add(name="S")
    policy = service.options.Extensions[pb.service]
    policy.MergeFromString(bytes([field << 3, number]))
    return FileDescriptorSet(file=[*files, own]).SerializeToString()


@pytest.mark.parametrize(("field", "said"), [(15, "a field 15"), (5, "has the value 99")])
def test_a_policy_of_a_newer_version_is_refused(
    repository: Repository, review: Review, tmp_path: Path, field: int, said: str
) -> None:
    (tmp_path / "new.binpb").write_bytes(_image_with(field, 99))
    ran = review("--against", tmp_path / "new.binpb")
    assert ran.code == 2
    assert said in ran.err
    assert "update it" in ran.err


def test_images_that_are_none_are_refused(
    repository: Repository, review: Review, tmp_path: Path
) -> None:
    image = compile_image([Path("protos")])
    lonely = FileDescriptorSet(file=image.own_files).SerializeToString()
    for content, said in (
        (b"no image at all", "is no image"),
        (gzip.compress(image.buf_bytes), "is no image"),
        (b"", "holds no contracts"),
        (lonely, "--include_imports"),
    ):
        (tmp_path / "x.binpb").write_bytes(content)
        ran = review("--against", tmp_path / "x.binpb")
        assert ran.code == 2
        assert said in ran.err


def test_what_is_far_too_large_is_refused_unread(
    repository: Repository, review: Review, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.binpb"
    with huge.open("wb") as file:
        file.truncate(100 * 2**20)
    ran = review("--against", huge)
    assert (ran.code, f"{sides.MAX_IMAGE:,}" in ran.err) == (2, True)
    repository.contract.write_text(f"{SHOP}//{' ' * roots.MAX_SOURCE}\n")
    ran = review("--against", "HEAD")
    assert (ran.code, f"{roots.MAX_SOURCE:,}" in ran.err) == (2, True)
    repository.commit("Grow")
    repository.contract.write_text(SHOP)
    assert review("--against", "HEAD").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--against", "no-such-branch"), "git has no commit"),
        (("--against", "--upload-pack=x"), "no reference of git"),
        (("--against", "HEAD", "--protos", "nowhere"), "is not a folder"),
        (("--against", "HEAD", "--mesh", "nowhere.yaml"), "nowhere.yaml"),
        (("--against", "HEAD", "--format", "jason"), "json"),
        (("--against", "HEAD", "--write", "sarif"), "--write"),
        (("--against", "HEAD", "--config", "nowhere.yaml"), "nowhere.yaml"),
        (("--against", "HEAD", "--audit", "nowhere.jsonl"), "nowhere.jsonl"),
    ],
)
def test_wrong_use_is_explained(
    repository: Repository, review: Review, arguments: tuple[str, ...], said: str
) -> None:
    ran = review(*arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.out == ""


def test_outside_of_git_a_reference_is_refused(
    review: Review, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    write(tmp_path / "protos", SHOP)
    ran = review("--against", "main")
    assert ran.code == 2
    assert "no git repository" in ran.err


def test_a_method_that_states_no_policy_any_more_breaks_callers(
    repository: Repository, review: Review
) -> None:
    text = repository.contract.read_text()
    start, end = text.index("  option (meshpact"), text.index("  rpc Get")
    repository.contract.write_text(text[:start] + text[end:])
    found = review("--against", "HEAD", "--json").err
    assert "shop.v1.Stock/Put" in found
