"""A policy in words: docstrings tell callers what the pages of docs tell everybody."""

from __future__ import annotations

import pytest

from meshpact.contracts.words import lines, parts
from meshpact.interceptors.policy import (
    Access,
    AuditLevel,
    EndUserRule,
    MethodPolicy,
    Rate,
    RateKey,
)

ROLES = frozenset({"shop.reader"})
PLAIN = MethodPolicy(Access(roles=ROLES), 1.0, None, AuditLevel.DENIALS)


@pytest.mark.parametrize(
    ("access", "words"),
    [
        (Access(workload_roles=ROLES), "Workloads that hold the role shop.reader."),
        (
            Access(roles=frozenset({"a", "b"}), workload_roles=ROLES),
            "Holders of one of the roles a, b; workloads that hold the role shop.reader.",
        ),
        (
            Access(user_roles=ROLES, end_user=EndUserRule.REQUIRED, bound_token=True),
            "For end users who hold the role shop.reader.",
        ),
        (Access(unauthenticated="It is open."), "Anyone who reaches the port: It is open."),
    ],
)
def test_each_demand_of_a_role_is_told(access: Access, words: str) -> None:
    policy = MethodPolicy(access, 1.0, None, AuditLevel.DENIALS)
    assert lines(policy, 0, ())[0] == f"Who may call: {words}"


def test_a_docstring_leaves_out_defaults_and_what_is_the_servers_affair() -> None:
    assert lines(PLAIN, 0, ()) == [
        "Who may call: Holders of the role shop.reader.",
        "Deadline: 1 s unless the caller sets one; no maximum.",
    ]


def test_a_page_tells_them() -> None:
    assert [said.label for said in parts(PLAIN, 0) if not said.to_callers] == [
        *("End user", "Rate", "Message size", "Under load", "Audit", "Calling again")
    ]


def test_a_docstring_says_what_the_page_says_without_the_marks() -> None:
    policy = MethodPolicy(
        Access(roles=ROLES, end_user=EndUserRule.REQUIRED, scopes=frozenset({"b", "a"})),
        0.5,
        120.0,
        AuditLevel.ALL,
        rate=Rate(1, 60.0, 5, RateKey.METHOD),
        concurrency=1,
        request_bytes=1024,
        page_sizes=(10, 100),
    )
    told = [f"{said.label}: {said.text}" for said in parts(policy, 1) if said.to_callers]
    assert lines(policy, 1, ["NotFound"]) == [
        *(each.replace("`", "") for each in told),
        "Errors: NotFound.",
    ]
    assert "Scopes: The token carries all of `a`, `b`." in told
    assert "Rate: 1 call a minute for all callers together; 5 at once after a pause." in told
    assert "At once: 1 call in one process at most." in told
    assert "Message size: Requests up to 1 KiB, responses up to 4 MiB." in told
    assert "Pages: 10 items unless page_size says more; 100 at most." in told
