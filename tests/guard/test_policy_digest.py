"""What stands for a policy in the audit trail."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from demo.v1 import demo_mesh

SOURCE = """
from meshpact.interceptors.policy import Access, AuditLevel, MethodPolicy
roles = frozenset({"a.reader", "b.writer", "c.owner", "d.auditor"})
print(MethodPolicy(Access(roles=roles), 1.0, 2.0, AuditLevel.ALL).digest)
"""


def test_a_policy_has_the_same_digest_in_every_process() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", SOURCE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(digests) == 1


def test_a_changed_policy_has_another_digest() -> None:
    policy = demo_mesh.ECHO.policy
    assert replace(policy, max_deadline=99.0).digest != policy.digest
