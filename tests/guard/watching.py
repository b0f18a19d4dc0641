"""Observers of every kind that remember what they were told, for tests to wait on."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from prometheus_client import CollectorRegistry

from meshpact.interceptors.audit import AuditLine
from meshpact.interceptors.metrics import METRIC, RpcMetrics
from meshpact.interceptors.trace import FastTracing


class Watching(SpanProcessor):
    """An audit trail, a span processor and a registry of metrics; `options` are for a Guard."""

    def __init__(self) -> None:
        self.lines: list[AuditLine] = []
        self.spans: list[ReadableSpan] = []
        self.registry = CollectorRegistry()
        self._changed = threading.Condition()
        self.options: dict[str, Any] = {
            "audit": self,
            "metrics": RpcMetrics(self.registry),
            "tracing": FastTracing([self], Resource.create({})),
        }

    def write(self, line: AuditLine, /) -> None:
        """Takes an audit line."""
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def record(self, line: AuditLine, /) -> Future[None]:
        """Takes an audit line that a call waits for."""
        self.write(line)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def on_end(self, span: ReadableSpan) -> None:
        """Takes a span."""
        with self._changed:
            self.spans.append(span)
            self._changed.notify_all()

    def counts(self) -> dict[tuple[str, str], int]:
        """Calls counted, by method (`package.Service/Method`) and status code."""
        return {
            (s.labels["rpc_method"], s.labels["rpc_response_status_code"]): int(s.value)
            for family in self.registry.collect()
            for s in family.samples
            if s.name == f"{METRIC}_count"
        }

    def wait(self, method: str, ends: int = 1) -> list[AuditLine]:
        """The audit lines of a path, once there are `ends` of them and as many spans."""

        def lines() -> list[AuditLine]:
            return [line for line in self.lines if line.method == method]

        def seen() -> bool:
            spans = [span for span in self.spans if span.name == method[1:]]
            return len(lines()) >= ends and len(spans) >= ends

        with self._changed:
            assert self._changed.wait_for(seen, 30), (self.lines, self.spans)
            return lines()

    def wait_for_lines(self, count: int) -> list[AuditLine]:
        """All audit lines, once there are `count` of them and as many spans."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: len(self.lines) >= count and len(self.spans) >= count, 30
            )
            return list(self.lines)
