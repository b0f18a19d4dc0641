"""Links to folders in git: what only they lead to is read as it is from the working tree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from review.reviews import AGAINST, SHOP, Ran, Repository, write

Review = Callable[..., Ran]
WIDER = ('roles: "shop.writer"', 'roles: "shop.writer" roles: "shop.reader"')
FOUND = {("shop.v1.Stock/Put", "role-added", "widens-access")}


def _move(repository: Repository, to: str, link: str, target: str) -> Path:
    """Move the shop's folder and leave a link; returns where the contract is now."""
    top = repository.top
    (top / to).parent.mkdir(parents=True, exist_ok=True)
    (top / "protos/shop").rename(top / to)
    (top / link).parent.mkdir(parents=True, exist_ok=True)
    (top / link).symlink_to(target)
    repository.commit("Link to it")
    return top / to / "v1/shop.proto"


@pytest.mark.parametrize(
    ("to", "link", "target", "more"),
    [
        ("protos/.hidden/shop", "protos/shop", ".hidden/shop", ()),
        ("theirs/shop", "protos/shop", "../theirs/shop", ("--include", "theirs")),
        ("protos/.a/b/shop", "protos/shop", ".c/shop", ()),
        ("contracts/protos/shop", "protos", "contracts/protos", ()),
        ("contracts/deep/protos/shop", "protos", "contracts/deep/../deep/protos", ()),
    ],
    ids=["a hidden folder", "an include", "a link behind a link", "the root", "with dots"],
)  # fmt: skip
def test_a_link_to_a_folder_is_followed_in_git_too(
    repository: Repository, review: Review, to: str, link: str, target: str, more: tuple[str, ...]
) -> None:
    if link == "protos":
        (repository.top / to).parent.mkdir(parents=True)
        (repository.top / "protos/shop").rename(repository.top / to)
        (repository.top / "protos").rmdir()
        (repository.top / link).symlink_to(target)
        repository.commit("Link to it")
        contract = repository.top / to / "v1/shop.proto"
    else:
        if ".c" in target:
            (repository.top / "protos/.c").symlink_to(".a/b")
        contract = _move(repository, to, link, target)
    repository.replace(*WIDER, path=contract)
    before = repository.state()
    ran = review(*AGAINST, *more, "--json")
    assert (ran.code, ran.found) == (1, FOUND), ran.err
    assert repository.state() == before
    repository.commit("Widen it")
    assert review("--against", "HEAD~", "--head", "HEAD", *more, "--json").found == FOUND
    log = review("--log", "HEAD~..HEAD", *more, "--json").json
    assert [each["semver"]["bump"] for each in log["commits"]] == ["minor"], log


def test_links_in_a_circle_end(repository: Repository, review: Review) -> None:
    (repository.top / "protos/shop/again").symlink_to("..")
    (repository.top / "protos/shop/me").symlink_to("me")
    (repository.top / "protos/shop/one.d").symlink_to("two.d")
    (repository.top / "protos/shop/two.d").symlink_to("one.d")
    repository.commit("Go round")
    (repository.top / "protos/shop/me").unlink()
    repository.replace(*WIDER)
    ran = review("--against", "HEAD", "--json")
    assert (ran.code, ran.found) == (1, FOUND), ran.err


@pytest.mark.parametrize("target", ["../elsewhere", "../../outside", "/etc"])
def test_a_link_to_a_folder_elsewhere_is_not_read(
    repository: Repository, review: Review, target: str
) -> None:
    write(repository.top / "elsewhere", SHOP.replace("shop.v1", "other.v1"), "o.proto")
    link = repository.top / "protos/other"
    link.symlink_to(target)
    repository.commit("Link out")
    link.unlink()
    repository.replace(*WIDER)
    ran = review("--against", "HEAD", "--json")
    assert (ran.code, ran.found) == (1, FOUND), ran.err
    told = [each for each in ran.json["remarks"] if "protos/other is a link to" in each]
    assert len(told) == (target == "../elsewhere")
    if told:
        refused = review("--against", "HEAD", "--head", "HEAD")
        assert refused.code == 2
        assert "protos/other is a link to elsewhere, outside of your contracts" in refused.err


def test_a_root_in_a_hidden_folder_is_read_from_git(repository: Repository, review: Review) -> None:
    (repository.top / ".config").mkdir()
    repository.git("mv", "protos", ".config/protos")
    repository.commit("Hide it")
    repository.replace(*WIDER, path=repository.top / ".config/protos/shop/v1/shop.proto")
    assert review("--against", "HEAD", "--protos", ".config/protos", "--json").found == FOUND


def test_a_mesh_file_that_is_a_link_is_read_from_git(
    repository: Repository, review: Review
) -> None:
    real = repository.top / "meshes/real.yaml"
    real.parent.mkdir()
    (repository.top / "mesh.yaml").rename(real)
    (repository.top / "mesh.yaml").symlink_to("meshes/real.yaml")
    repository.commit("Keep meshes together")
    repository.replace("workloads: [desk]", "workloads: [desk, stranger]", real)
    ran = review(*AGAINST, "--json")
    assert ran.code == 1, ran.err
    assert "stranger" in ran.out
