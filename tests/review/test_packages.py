"""Contracts and packages that come, go, or are alone in a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from review.reviews import SHOP, Ran, Repository

Review = Callable[..., Ran]


def _rules(commit: Any, area: str) -> set[str]:
    return {each["rule"] for each in commit[area]}


def test_contracts_that_begin_and_end_within_the_range_are_told(
    repository: Repository, review: Review
) -> None:
    repository.contract.unlink()
    repository.commit("Close the shop")
    repository.contract.parent.mkdir(parents=True, exist_ok=True)
    repository.contract.write_text(SHOP)
    repository.commit("Open it again")
    ran = review("--log", "HEAD~2..HEAD", "--json")
    opened, closed = ran.json["commits"]
    assert _rules(closed, "wire") == {"FILE_NO_DELETE", "method-removed"}
    assert _rules(opened, "wire") == {"method-added"}
    assert (opened["semver"]["bump"], closed["semver"]["bump"]) == ("minor", "major")
    assert ran.json["semver"]["bump"] == "none"


def test_a_package_that_comes_or_goes_alone_is_reviewed(
    repository: Repository, review: Review
) -> None:
    other = repository.top / "protos/shop/v2/more.proto"
    other.parent.mkdir()
    other.write_text('syntax = "proto3";\npackage shop.v2;\nmessage More {}\n')
    repository.commit("Add a package")
    other.unlink()
    repository.commit("Remove it")
    added = review("--against", "HEAD~2", "--head", "HEAD~1", "--json")
    assert (added.code, added.json["semver"]["bump"]) == (0, "minor")
    removed = review("--against", "HEAD~1", "--head", "HEAD", "--json")
    assert removed.found == {("", "FILE_NO_DELETE", "breaks-callers")}
