"""`meshpact access diff`: who gains and who loses which methods."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from access.conftest import Ran
from access.meshes import LINES, Shop

Access = Callable[..., Ran]
DESKS = "stock.desk: {workloads: [desk, web]"


@pytest.fixture
def old(shop: Shop) -> Path:
    """The mesh before it is changed."""
    before = shop.folder / "old.yaml"
    shutil.copy(shop.mesh, before)
    return before


def changes(ran: Ran) -> set[tuple[str, str, str]]:
    return {
        (each["change"], each["caller"]["name"], each["method"].rpartition("/")[2])
        for each in ran.json["changes"]
    }


def test_two_meshes_that_let_the_same_in_do_not_differ(
    shop: Shop, old: Path, access: Access
) -> None:
    shop.replaced("services:\n", "# a comment\nservices:\n")
    ran = access("diff", old, shop.mesh)
    assert (ran.code, ran.out) == (0, "nobody gains or loses anything\n")
    assert access("diff", "--json", old, shop.mesh).json == {"changes": [], "networks": []}


def test_gains_and_losses_are_told_by_caller_and_method(
    shop: Shop, old: Path, access: Access
) -> None:
    shop.replaced("workloads: [web,", "workloads: [stranger,")
    ran = access("diff", "--json", old, shop.mesh)
    assert ran.code == 1
    assert changes(ran) == {
        ("gains", "stranger", "Get"),
        ("gains", "stranger", "Browse"),
        ("loses", "web", "Get"),
        ("loses", "web", "Browse"),
    }
    text = access("diff", old, shop.mesh).out.splitlines()
    assert "+ stranger gains shop.v1.Stock/Get (no -> yes)" in text
    assert "- web loses shop.v1.Stock/Get (yes -> no)" in text


def test_a_user_who_goes_is_told_and_whose_calls_with_them(
    shop: Shop, old: Path, access: Access
) -> None:
    shop.replaced("users: [anna], groups: [clerks]", "groups: [clerks]")
    ran = access("diff", "--json", old, shop.mesh)
    assert changes(ran) == {("loses", "user anna", "Put")}


def test_a_pair_that_comes_apart_is_told_where_both_keep_others(
    shop: Shop, old: Path, access: Access
) -> None:
    # Before: desk and web with anna and clerks. After: web with anna no more, and berta instead.
    for path in (old, shop.mesh):
        path.write_text(path.read_text().replace("stock.desk: {workloads: [desk]", DESKS))
    shop.replaced("users: [anna]", "users: [berta]")
    found = changes(access("diff", "--json", old, shop.mesh))
    assert found == {("loses", "user anna", "Put"), ("gains", "user berta", "Put")}


def test_observation_is_a_change_for_everybody(shop: Shop, old: Path, access: Access) -> None:
    shop.replaced("services:\n", "methods: {shop.v1.Stock/Get: {mode: observe}}\nservices:\n")
    found = changes(access("diff", "--json", old, shop.mesh))
    assert ("gains", "stranger", "Get") in found
    assert ("gains", "any other workload", "Get") in found


def test_other_networks_are_a_change(shop: Shop, old: Path, access: Access) -> None:
    shop.replaced("  mesh: [127.0.0.0/8]\n", "")
    ran = access("diff", old, shop.mesh)
    assert (ran.code, ran.out) == (1, "~ networks.mesh: 127.0.0.0/8 -> no list\n")


def git(*arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@shop.example")
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True)


def test_a_side_may_be_what_git_has_with_its_bindings(shop: Shop, access: Access) -> None:
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "The shop")
    (shop.folder / "bindings.jsonl").write_text(LINES.replace("cron", "clock"))
    ran = access("diff", "--json", "HEAD:mesh.yaml", "mesh.yaml")
    assert changes(ran) == {
        ("loses", "spiffe://shop.example/cron", "Get"),
        ("loses", "spiffe://shop.example/cron", "Browse"),
        ("gains", "spiffe://shop.example/clock", "Get"),
        ("gains", "spiffe://shop.example/clock", "Browse"),
    }
    assert access("diff", "HEAD:mesh.yaml", "HEAD:./mesh.yaml").code == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("HEAD:mesh.yml", "git does not have HEAD:mesh.yml"),
        ("nowhere:mesh.yaml", "git does not have nowhere:mesh.yaml"),
        ("--output=x:mesh.yaml", "is no reference of git"),
        ("nowhere.yaml", "nowhere.yaml: cannot be read"),
    ],
)
def test_a_side_that_is_not_there_is_wrong_use(
    shop: Shop, access: Access, name: str, said: str
) -> None:
    git("init", "-q")
    ran = access("diff", "--", name, "mesh.yaml")
    assert ran.code == 2
    assert said in ran.err


def test_a_fault_in_what_git_has_is_told_by_the_name_that_was_asked_for(
    shop: Shop, access: Access
) -> None:
    text = shop.mesh.read_text()
    shop.replaced("services:", "servises:")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "A slip of the pen")
    shop.mesh.write_text(text)
    ran = access("diff", "HEAD:mesh.yaml", "mesh.yaml")
    assert ran.code == 2
    assert "HEAD:mesh.yaml:2: servises: unknown key" in ran.err
