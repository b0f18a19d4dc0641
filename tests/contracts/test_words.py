"""Who may call, in the words of a docstring."""

from __future__ import annotations

import pytest

from meshpact.contracts.words import lines
from meshpact.interceptors.policy import Access, AuditLevel, EndUserRule, MethodPolicy

ROLES = frozenset({"shop.reader"})


@pytest.mark.parametrize(
    ("access", "words"),
    [
        (
            Access(workload_roles=ROLES),
            "workloads that hold the role shop.reader.",
        ),
        (
            Access(roles=frozenset({"a", "b"}), workload_roles=ROLES),
            "holders of one of the roles a, b and workloads that hold the role shop.reader.",
        ),
        (
            Access(user_roles=ROLES, end_user=EndUserRule.REQUIRED, bound_token=True),
            "end users who hold the role shop.reader, with an end user's token (bound to the "
            "caller's certificate).",
        ),
    ],
)
def test_each_demand_of_a_role_is_told(access: Access, words: str) -> None:
    policy = MethodPolicy(access, 1.0, None, AuditLevel.DENIALS)
    assert lines(policy, ())[0] == f"Callers: {words}"
