"""How a running mesh is shown: plain lines, or a live table on a terminal (`live`)."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, TextIO, cast

from meshpact.servers.supervisor.snapshot import Snapshot, number

PERIOD: Final = 2.0
"""Seconds between two plain lines of figures."""


class View(Protocol):
    """Shows one run of a mesh. Every method returns at once."""

    def note(self, text: str) -> None:
        """Something that happened, in words."""
        ...

    def show(self, snapshot: Snapshot) -> None:
        """The mesh as it is now; called a few times a second."""
        ...

    def ready(self, snapshot: Snapshot, hints: Sequence[str]) -> None:
        """All services are ready; `hints` are lines on how to call them."""
        ...

    def ending(self) -> None:
        """The mesh is being ended."""
        ...

    def finish(self, report: Mapping[str, object]) -> None:
        """The final report; nothing follows."""
        ...


class PlainView:
    """Lines of text. `machine` gets the final report as one line of JSON, if given."""

    def __init__(self, output: TextIO, *, machine: TextIO | None = None) -> None:
        self._output = output
        self._machine = machine
        self._shown = -math.inf
        self._told: set[str] = set()

    def note(self, text: str) -> None:
        """One line."""
        self._print(text)

    def show(self, snapshot: Snapshot) -> None:
        """One line of figures every PERIOD seconds; an unexpected error at once, each kind once."""
        for kind in kinds(snapshot.figures, "errors"):
            if kind not in self._told:
                self._told.add(kind)
                self._print(f"unexpected: {kind}")
        if snapshot.ready_s is None or snapshot.elapsed < self._shown + PERIOD:
            return
        first, self._shown = math.isinf(self._shown), snapshot.elapsed
        if not first:
            self._print(f"{snapshot.elapsed:6.0f} s  {summary(snapshot)}")

    def ready(self, snapshot: Snapshot, hints: Sequence[str]) -> None:
        """The services, how to call them, and where their pages are."""
        width = max((len(service.name) for service in snapshot.services), default=0)
        for service in snapshot.services:
            name = service.name.ljust(width)
            self._print(f"{name}  ready  {service.address:<21} process {service.pid}")
        if hints:
            self._print("call it yourself:")
        for hint in hints:
            self._print(f"  {hint}")
        for line in pages(snapshot):
            self._print(line)
        self._print(f"ready after {snapshot.ready_s or 0:.1f} s")

    def ending(self) -> None:
        """One line."""
        self._print("ending")

    def finish(self, report: Mapping[str, object]) -> None:
        """The report, a line each, or as JSON."""
        if self._machine is not None:
            print(json.dumps(report), file=self._machine, flush=True)
            return
        for line in report_lines(report):
            self._print(line)

    def _print(self, text: str) -> None:
        print(text, file=self._output, flush=True)


def pages(snapshot: Snapshot) -> list[str]:
    """A line for each service with pages: where to look at them; and what services tell people."""
    found = [each for each in snapshot.services if each.web]
    width = max((len(each.web) for each in found), default=0)
    lines = ["open in a browser:"] if found else []
    lines += [f"  {each.web:<{width}}  {each.name}" for each in found]
    return lines + [f"{each.name}: {words}" for each in snapshot.services for words in each.notes]


def summary(snapshot: Snapshot) -> str:
    """The figures of a moment on one line."""
    figures = snapshot.figures
    if snapshot.driver and not figures:
        return f"the driver is {snapshot.driver}, without figures yet"
    if snapshot.driver:
        timed = not math.isnan(number(figures, "p50_ms"))
        latency = f"p50 {duration(figures, 'p50_ms')}  p99 {duration(figures, 'p99_ms')}  "
        return (
            f"{count(figures, 'orders_placed')} orders  {count(figures, 'calls')} calls  "
            f"{latency if timed else ''}"
            f"{count(figures, 'refused_expected')} refused as expected  "
            f"{count(figures, 'errors_unexpected')} errors"
        )
    return "  ".join(f"{s.name} {s.state} {s.rate:.0f}/s" for s in snapshot.services)


def report_lines(report: Mapping[str, object]) -> list[str]:
    """The final report for people."""
    balanced = "balanced" if report.get("ledger_balanced") else "NOT BALANCED"
    if not report.get("calls"):
        return []
    lines = [
        f"orders placed        {count(report, 'orders_placed')} "
        f"({count(report, 'order_lines')} lines)",
        f"calls                {count(report, 'calls')}, "
        f"p50 {duration(report, 'p50_ms')}, p99 {duration(report, 'p99_ms')}",
        f"refused as expected  {count(report, 'refused_expected')}",
        f"unexpected errors    {count(report, 'errors_unexpected')}",
        *(f"    {words}" for words in by_kind(report, "errors", "\n").splitlines()),
    ]
    if report.get("ledger_balanced") is not None:
        lines.append(f"ledger               {balanced}")
    return lines


def by_kind(figures: Mapping[str, object], name: str, between: str = ", ") -> str:
    """A figure that is counts by kind, as `kind 3, other 1`; empty when it is absent."""
    return between.join(f"{kind} {times}" for kind, times in kinds(figures, name).items())


def kinds(figures: Mapping[str, object], name: str) -> Mapping[str, object]:
    """A figure that is counts by kind; empty when it is absent."""
    found = figures.get(name)
    return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}


def count(figures: Mapping[str, object], name: str) -> str:
    """A figure as a whole number with thousands set apart; `-` when it is absent."""
    value = number(figures, name)
    return "-" if math.isnan(value) else f"{value:,.0f}"


def duration(figures: Mapping[str, object], name: str) -> str:
    """A figure of milliseconds; `-` when it is absent."""
    value = number(figures, name)
    return "-" if math.isnan(value) else f"{value:.1f} ms"


def choose(*, machine: bool, plain: bool) -> View:
    """The live table on a terminal, plain lines elsewhere (on stderr when stdout takes JSON)."""
    if machine:
        return PlainView(sys.stderr, machine=sys.stdout)
    if plain or not sys.stdout.isatty():
        return PlainView(sys.stdout)
    from meshpact.servers.supervisor.live import LiveView

    return LiveView()
