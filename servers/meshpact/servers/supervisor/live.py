"""The live table of a mesh on a terminal. Imported only where there is one."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from meshpact.servers.supervisor.snapshot import ServiceView, Snapshot, number
from meshpact.servers.supervisor.view import by_kind, count, duration, pages, report_lines

NOTES: Final = 5
COLOURS: Final = {"ready": "green", "starting": "yellow", "restarting": "red", "failed": "red"}


class LiveView:
    """Draws services, figures and hints in place, a few times a second."""

    def __init__(self) -> None:
        self._notes: deque[str] = deque(maxlen=NOTES)
        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._last: Snapshot | None = None
        self._ended = False

    def note(self, text: str) -> None:
        """Kept below the table, the last few of them; printed when the table is not drawn."""
        if self._live.is_started:
            self._notes.append(text)
        else:
            self._console.print(Text(text))

    def show(self, snapshot: Snapshot) -> None:
        """Draw the mesh."""
        if not self._live.is_started:
            self._live.start()
        self._last = snapshot
        self._live.update(self._drawn(snapshot), refresh=True)

    def ready(self, snapshot: Snapshot, hints: Sequence[str]) -> None:
        """Print the hints, unwrapped so that they can be copied; what is drawn goes on below."""
        if hints:
            self._console.print("Call it yourself:", style="bold")
        for hint in hints:
            self._console.print(Text(f"  {hint}"), soft_wrap=True)
        for line in pages(snapshot):
            self._console.print(Text(line), soft_wrap=True)
        self.show(snapshot)

    def ending(self) -> None:
        """Leave the last picture and go on in lines."""
        if self._live.is_started:
            self._live.stop()
        if self._last is not None:
            self._console.print(self._services(self._last))
        for note in self._notes:
            self._console.print(Text(note))
        self._console.print("ending")

    def finish(self, report: Mapping[str, object]) -> None:
        """The report, a line each."""
        for line in report_lines(report):
            self._console.print(Text(line))

    def _drawn(self, snapshot: Snapshot) -> Group:
        parts: list[Table | Text] = [self._services(snapshot)]
        if snapshot.driver:
            parts.append(self._figures(snapshot))
        if self._notes:
            parts.append(Text("\n".join(self._notes), style="yellow"))
        parts.append(Text("Ctrl-C ends the mesh", style="dim"))
        return Group(*parts)

    def _services(self, snapshot: Snapshot) -> Table:
        table = Table(expand=False)
        for heading in ("service", "state", "address", "process", "restarts", "calls/s"):
            table.add_column(
                heading, justify="right" if heading in ("restarts", "calls/s") else "left"
            )
        for service in snapshot.services:
            table.add_row(
                service.name,
                _state(service),
                service.address,
                str(service.pid or "-"),
                str(service.restarts),
                f"{service.rate:,.0f}",
            )
        return table

    def _figures(self, snapshot: Snapshot) -> Table:
        figures = snapshot.figures
        seconds = max(snapshot.elapsed, 1e-9)
        table = Table.grid(padding=(0, 3))
        table.add_row("driver", snapshot.driver)
        orders = number(figures, "orders_placed") / seconds
        calls = number(figures, "calls") / seconds
        table.add_row(
            "orders",
            f"{count(figures, 'orders_placed')} ({count({'r': orders}, 'r')}/s), "
            f"{count(figures, 'order_lines')} lines",
        )
        table.add_row(
            "calls",
            f"{count(figures, 'calls')} ({count({'r': calls}, 'r')}/s), "
            f"p50 {duration(figures, 'p50_ms')}, p99 {duration(figures, 'p99_ms')}",
        )
        table.add_row(
            "refused as expected", counted(figures, "refused_expected", "refused_by_reason")
        )
        errors = Text(counted(figures, "errors_unexpected", "errors"))
        if number(figures, "errors_unexpected") > 0:
            errors.stylize("bold red")
        table.add_row("errors", errors)
        return table


def _state(service: ServiceView) -> Text:
    text = Text(service.state, style=COLOURS.get(service.state, ""))
    return text.append(f", {service.identity}", style="bold red") if service.identity else text


def counted(figures: Mapping[str, object], total: str, kinds: str) -> str:
    """A total, and what it is made of when that is known."""
    parts = by_kind(figures, kinds)
    return f"{count(figures, total)}: {parts}" if parts else count(figures, total)
