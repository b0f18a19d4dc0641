"""Who really called: audit trails as the guard writes them, over several files."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshpact.interceptors.audit import AuditLine, timestamp
from meshpact.interceptors.auditfile import AuditFile
from review.reviews import AGAINST, Ran, Repository

Review = Callable[..., Ran]
DAY = 86_400.0
PUT = "shop.v1.Stock/Put"
PARTNER = "spiffe://partner.example/till"


def _line(caller: str, decision: str = "allow", days_ago: float = 1.0) -> AuditLine:
    return AuditLine(
        v=1,
        time=timestamp(lambda: time.time() - days_ago * DAY),
        event="call",
        service="stock",
        method=f"/{PUT}",
        caller=caller,
        user_hash="",
        peer="127.0.0.1",
        decision=decision,
        check="access" if decision == "deny" else "",
        reason="ROLE_MISSING" if decision == "deny" else "",
        code="PERMISSION_DENIED" if decision == "deny" else "OK",
        policy="0" * 12,
        trace_id="",
    )


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """A trail of several files: 30 calls of desk, 3 of a partner, 2 refused, 5 long ago."""
    path = tmp_path / "audit/stock.jsonl"
    file = AuditFile(path, service="stock", max_bytes=2000, keep=100)
    desk = "spiffe://shop.example/desk"
    for line in (
        *[_line(desk, days_ago=40)] * 5,
        *[_line(desk)] * 30,
        *[_line(PARTNER)] * 3,
        *[_line("spiffe://shop.example/web", "deny")] * 2,
        _line("spiffe://shop.example/night", "would_deny"),
    ):
        file.append([line])
    file.sync()
    file.close()
    assert len(list(path.parent.glob("*.jsonl"))) > 5
    return path


def _calls(ran: Ran) -> dict[str, int]:
    touched: list[Any] = ran.finding("role-dropped")["touched"]
    return {each["who"]: each["count"] for each in touched if each["kind"] == "calls"}


COUNTED = {"desk": 30, PARTNER: 3, "spiffe://shop.example/night": 1}


def test_calls_are_counted_over_all_files_of_a_trail(
    repository: Repository, review: Review, trail: Path
) -> None:
    repository.replace('access: {roles: "shop.writer"}', 'access: {roles: "shop.reader"}')
    used = (*AGAINST, "--days", "7", "--json", "--audit")
    assert _calls(review(*used, trail)) == COUNTED
    assert _calls(review(*used, trail.parent)) == COUNTED
    assert _calls(review(*used, trail, "--audit", trail.parent)) == COUNTED
    longer = review(*AGAINST, "--days", "60", "--json", "--audit", trail)
    assert _calls(longer) == {**COUNTED, "desk": 35}


def test_one_full_file_is_read_alone(repository: Repository, review: Review, trail: Path) -> None:
    repository.replace('access: {roles: "shop.writer"}', 'access: {roles: "shop.reader"}')
    last = sorted(trail.parent.glob("stock.0*.jsonl"))[-1]
    counted = _calls(review(*AGAINST, "--json", "--audit", last))
    assert 0 < sum(counted.values()) < sum(COUNTED.values())


def test_the_comment_says_how_often_who_loses_it_called(
    repository: Repository, review: Review, trail: Path
) -> None:
    repository.replace('access: {roles: "shop.writer"}', 'access: {roles: "shop.reader"}')
    assert "lose it: desk (30 calls)" in review(*AGAINST, "--audit", trail).out


def test_a_folder_without_a_trail_is_wrong_use(
    repository: Repository, review: Review, tmp_path: Path
) -> None:
    ran = review(*AGAINST, "--audit", tmp_path)
    assert ran.code == 2
    assert "holds no audit trail" in ran.err
