"""RPC metrics: how long calls took, by method and status, in Prometheus' form and OTel's names.

The counting is our own, because two locks and five calls of Python for each call are many; the
form that Prometheus reads is prometheus_client's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from meshpact.interceptors import conventions as names
from meshpact.interceptors.errors import Code

METRIC: Final = names.RPC_SERVER_CALL_DURATION.replace(".", "_") + "_seconds"
LABELS: Final = tuple(
    name.replace(".", "_")
    for name in (names.RPC_SYSTEM_NAME, names.RPC_METHOD, names.RPC_RESPONSE_STATUS_CODE)
)
WOULD_DENY: Final = "meshpact_access_would_deny"
"""The counter of decisions under observation (`mode: observe`), by method and reason."""

Observe = Callable[[float], None]
"""Counts one call that took so many seconds."""


class RpcMetrics(Collector):
    """The histogram `rpc.server.call.duration` of one registry, and the counter `WOULD_DENY`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self._series: dict[tuple[str, str], _Series] = {}
        self._lock = Lock()
        self._would_deny = Counter(
            WOULD_DENY,
            "Calls let through under observation that access would have refused.",
            (LABELS[1], "reason"),
            registry=registry,
        )
        registry.register(self)

    def bind(self, method: str, code: Code) -> Observe:
        """The counter of a method's (`package.Service/Method`) calls that end with a code."""
        with self._lock:
            series = self._series.setdefault((method, code.name), _Series())
        return series.observe

    def would_deny(self, method: str, reason: str) -> None:
        """Counts one call of a method under observation that lacks a role or a scope."""
        self._would_deny.labels(method, reason).inc()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What Prometheus reads."""
        family = HistogramMetricFamily(
            METRIC, names.RPC_SERVER_CALL_DURATION_HELP, labels=list(LABELS)
        )
        with self._lock:
            found = list(self._series.items())
        for (method, code), series in found:
            buckets, total = series.read()
            if buckets[-1][1]:
                family.add_metric([names.RPC_SYSTEM_GRPC, method, code], buckets, total)
        yield family


class _Series:
    """One histogram. Threads may observe at once."""

    def __init__(self) -> None:
        self._counts = [0] * (len(names.DURATION_BUCKETS) + 1)
        self._total = 0.0
        self._lock = Lock()

    def observe(self, seconds: float) -> None:
        with self._lock:
            self._counts[bisect_left(names.DURATION_BUCKETS, seconds)] += 1
            self._total += seconds

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative buckets by upper bound, and the sum of all seconds."""
        with self._lock:
            counts, total = list(self._counts), self._total
        buckets: list[tuple[str, float]] = []
        seen = 0
        for bound, count in zip((*map(str, names.DURATION_BUCKETS), "+Inf"), counts, strict=True):
            seen += count
            buckets.append((bound, float(seen)))
        return buckets, total
