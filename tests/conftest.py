"""Fails a run in continuous integration when a group of tests/required.txt was skipped or absent.

Only the Makefile's commands are held to it (they set MESHPACT_TEST_COMMAND), when CI=true.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["meshpact.testing.plugin", "databases", "hungtests"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and programs that tests interrupt inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says something about the machine, not about the code.
settings.register_profile(
    "untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("untimed")

REQUIRED = Path(__file__).with_name("required.txt")


def required_groups(text: str, command: str) -> tuple[str, ...]:
    """The groups that `text` (the content of required.txt) asks of one command."""
    rows = (line.split() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return tuple(group for name, group in rows if name == command)


class RequiredGroups:
    """Counts passed and skipped tests by group, on the process that hears of all of them."""

    def __init__(self, groups: Iterable[str]) -> None:
        self.groups = tuple(groups)
        self.passed = Counter[str]()
        self.skipped = dict[str, list[str]]()

    def group_of(self, nodeid: str) -> str | None:
        file = nodeid.split("::")[0]
        return next((g for g in self.groups if file == g or file.startswith(f"{g}/")), None)

    def faults(self) -> list[str]:
        """One sentence for each group that did not run as it must."""
        found = [
            f"{group}: no test of this required group passed (is it absent, or deselected?)"
            for group in self.groups
            if not self.passed[group] and group not in self.skipped
        ]
        found += [
            f"{group}: skipped, which a required group may not be: {', '.join(nodeids)}"
            for group, nodeids in self.skipped.items()
        ]
        return found

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        group = self.group_of(report.nodeid)
        if group is None or hasattr(report, "wasxfail"):
            return
        if report.skipped:
            self.skipped.setdefault(group, []).append(report.nodeid)
        elif report.passed and report.when == "call":
            self.passed[group] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        group = self.group_of(report.nodeid)
        if group is not None and report.skipped:
            self.skipped.setdefault(group, []).append(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and self.faults():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        faults = self.faults()
        if faults:
            terminalreporter.section("required groups (tests/required.txt)", red=True, bold=True)
            for fault in faults:
                terminalreporter.line(fault, red=True)


def pytest_configure(config: pytest.Config) -> None:
    command = os.environ.get("MESHPACT_TEST_COMMAND")
    if os.environ.get("CI") != "true" or command is None or hasattr(config, "workerinput"):
        return
    groups = required_groups(REQUIRED.read_text(encoding="utf-8"), command)
    config.pluginmanager.register(RequiredGroups(groups), "required-groups")
