"""Which workload a process is: by its session, its start time, and what the supervisor started.

A process is what `meshpact up` started, or what that one started in turn, as long as it stays in
the session that begins there: nobody can enter the session of another process. An ID of a process
counts only together with its start time, so that one which the kernel hands out again is worth
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ENDED: Final = frozenset("ZX")


@dataclass(frozen=True, slots=True)
class Peer:
    """A process, for all time: its ID and its start in clock ticks since boot (proc(5))."""

    pid: int
    start: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What the kernel says of a process that lives."""

    start: int
    session: int


class ProcessTable:
    """The processes of this machine, as `/proc` has them."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def facts(self, pid: int) -> Facts | None:
        """What is known of a process; None when it has ended or never was."""
        if pid <= 0:
            return None
        try:
            text = (self._proc / str(pid) / "stat").read_text(errors="replace")
            # The name stands in parentheses and may hold any character, these too (proc(5)).
            fields = text.rpartition(")")[2].split()
            state, session, start = fields[0], int(fields[3]), int(fields[19])
        except (OSError, ValueError, IndexError):
            return None
        return None if state in _ENDED else Facts(start=start, session=session)

    def peer(self, pid: int) -> Peer | None:
        """The process that has this ID now."""
        facts = self.facts(pid)
        return None if facts is None else Peer(pid, facts.start)


class Workloads:
    """The processes that were started, and the service of mesh.yaml that each one is."""

    def __init__(self, table: ProcessTable) -> None:
        self._table = table
        self._started: dict[int, tuple[Peer, str]] = {}

    def add(self, peer: Peer, service: str) -> None:
        """A process was started with a session of its own."""
        self._started[peer.pid] = (peer, service)

    def remove(self, peer: Peer) -> None:
        """A process has ended."""
        if self._started.get(peer.pid, (None, ""))[0] == peer:
            del self._started[peer.pid]

    def service_of(self, peer: Peer) -> str | None:
        """The service that a process is; None for one that is none, or is no more.

        Looks at the processes as they are now: a peer that has ended meanwhile is nobody.
        """
        facts = self._table.facts(peer.pid)
        if facts is None or facts.start != peer.start:
            return None
        leader, service = self._started.get(facts.session, (None, ""))
        if leader is None:
            return None
        return service if self._table.peer(leader.pid) == leader else None
