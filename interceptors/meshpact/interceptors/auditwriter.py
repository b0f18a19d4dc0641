"""The audit trail of a process: lines wait in a bounded queue for a thread that writes them.

Calls never wait for a disk, unless their policy has `audit.required`: those wait until their line
is safe, and do not run when it cannot be. Lines that cannot be written are dropped loudly: counted
in a metric, logged, and told in the trail by a line `gap` as soon as it can be written again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from meshpact.interceptors import conventions as names
from meshpact.interceptors.audit import AuditLine, timestamp
from meshpact.interceptors.auditfile import AuditFile

log = logging.getLogger("meshpact.audit")

CAPACITY: Final = 8192
"""Lines that wait at most."""
BATCH: Final = 256
"""Lines written at once at most."""
SYNC_SECONDS: Final = 1.0
"""Lines that nobody waits for are safe on disk after so long."""
CLOSE_SECONDS: Final = 5.0
"""What the last lines get to be written when a process ends."""

_Item = tuple[AuditLine | None, "Future[None] | None"]


class AuditWriter(Collector):
    """An audit trail (`meshpact.interceptors.audit.AuditTrail`) in files. Any thread may use it."""

    def __init__(
        self,
        file: AuditFile,
        registry: CollectorRegistry | None = None,
        *,
        capacity: int = CAPACITY,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._file = file
        self._capacity = capacity
        self._close_seconds = close_seconds
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._lock = Lock()
        self._lost = 0
        self._lost_since = ""
        self._why = ""
        self._closed = False
        self.dropped = 0
        """Lines lost since the start."""
        self._thread = Thread(target=self._run, name="meshpact-audit", daemon=True)
        self._thread.start()
        if registry is not None:
            registry.register(self)

    def write(self, line: AuditLine, /) -> None:
        """Adds a line some time soon, or counts it as lost. Never waits."""
        if self._closed or self._queue.qsize() >= self._capacity:
            self._lose(1, "closed" if self._closed else "lines come faster than they are written")
        else:
            self._queue.put((line, None))

    def record(self, line: AuditLine, /) -> Future[None]:
        """Adds a line; done when it is safe on disk, failed (OSError) when that is impossible."""
        done: Future[None] = Future()
        if self._closed or self._queue.qsize() >= self._capacity:
            self._lose(1, "closed" if self._closed else "lines come faster than they are written")
            done.set_exception(OSError("the audit trail takes no more lines"))
        else:
            self._queue.put((line, done))
        return done

    def flush(self) -> Future[None]:
        """Done once the lines before it are in the file, or are counted as lost."""
        done: Future[None] = Future()
        if self._closed:
            done.set_result(None)
        else:
            self._queue.put((None, done))
        return done

    def close(self) -> None:
        """Writes what waits, within `close_seconds`, and lets go of the files."""
        if self._closed:
            return
        self._closed = True
        self._queue.put((None, None))
        self._thread.join(self._close_seconds)
        if self._thread.is_alive():
            waiting = self._queue.qsize()
            log.error("%s: %d lines could not be written in time", self._place, waiting)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """What Prometheus reads."""
        lost = CounterMetricFamily(names.AUDIT_DROPPED, names.AUDIT_DROPPED_HELP)
        lost.add_metric([], self.dropped)
        yield lost
        failing = GaugeMetricFamily(names.AUDIT_FAILING, names.AUDIT_FAILING_HELP)
        failing.add_metric([], float(self._lost > 0))
        yield failing

    @property
    def _place(self) -> str:
        return str(self._file.trail.active)

    def _lose(self, lines: int, why: str) -> None:
        with self._lock:
            first = self._lost == 0
            if first:
                self._lost_since, self._why = timestamp(), why
            self._lost += lines
            self.dropped += lines
        if first:
            log.error("%s: audit lines are lost: %s", self._place, why)

    def _run(self) -> None:
        unsynced = 0.0
        while True:
            batch = self._take(SYNC_SECONDS if unsynced or self._lost else None)
            line, flushed = batch[-1] if batch else ("", None)
            ends = line is None and flushed is None
            lines = [(line, done) for line, done in batch if line is not None]
            if (lines or self._lost) and self._write(lines):
                unsynced = unsynced or time.monotonic()
            if line is None and flushed is not None:
                _settle(flushed, None)
            if unsynced and (ends or not lines or time.monotonic() - unsynced >= SYNC_SECONDS):
                unsynced = 0.0
                self._sync()
            if ends:
                self._file.close()
                self._turn_away()
                return

    def _turn_away(self) -> None:
        """Answers whoever was let in while the trail was closed."""
        while not self._queue.empty():
            line, done = self._queue.get_nowait()
            if line is not None:
                self._lose(1, "closed")
            if done is not None:
                _settle(done, OSError("the audit trail takes no more lines"))

    def _take(self, seconds: float | None) -> list[_Item]:
        """What waits, up to a batch; nothing when nothing comes for so long."""
        batch: list[_Item] = []
        try:
            batch.append(self._queue.get(timeout=seconds))
            while len(batch) < BATCH and batch[-1][0] is not None:
                batch.append(self._queue.get_nowait())
        except Empty:
            pass
        return batch

    def _write(self, lines: list[tuple[AuditLine, Future[None] | None]]) -> bool:
        lost, since, why = self._lost, self._lost_since, self._why
        records = [line for line, _ in lines]
        waiting = [done for _, done in lines if done is not None]
        try:
            gap = [self._file.event("gap", lines=lost, since=since, text=why)] if lost else []
            self._file.append([*gap, *records])
            if waiting:
                self._file.sync()
        except Exception as error:
            found = getattr(error, "strerror", None) or type(error).__name__
            if not isinstance(error, OSError):
                log.exception("%s could not be written", self._place)
            self._lose(len(records), found)
            for done in waiting:
                _settle(done, OSError(f"the audit trail could not be written: {found}"))
            return False
        if lost:
            with self._lock:
                self._lost -= lost
            log.warning("%s: written again; %d lines were lost since %s", self._place, lost, since)
        for done in waiting:
            _settle(done, None)
        return True

    def _sync(self) -> None:
        try:
            self._file.sync()
        except OSError as error:
            log.error("%s: not safe on disk: %s", self._place, error.strerror)


def _settle(done: Future[None], error: Exception | None) -> None:
    if not done.set_running_or_notify_cancel():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
