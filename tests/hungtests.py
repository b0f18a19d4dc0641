"""A plugin for runs on several workers: a test that hangs fails once.

Its timeout ends its worker, and xdist gives what that had left, the test too, to the next one: with
two workers it would hang nine times, and the run last longer than it may.
"""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, sched: Any) -> None:
    """Takes the test that ended a worker out of what is to be run (`LoadScopeScheduling`)."""
    waiting: dict[str, dict[str, bool]] = getattr(sched, "workqueue", {})
    for scope, tests in list(waiting.items()):
        if crashitem in tests:
            tests[crashitem] = True
            if all(tests.values()):
                del waiting[scope]
