"""RPC metrics: how long calls took, by method and status, in Prometheus' form and OTel's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Histogram

from meshpact.interceptors import conventions as names
from meshpact.interceptors.errors import Code

METRIC: Final = names.RPC_SERVER_CALL_DURATION.replace(".", "_") + "_seconds"

Observe = Callable[[Code, float], None]
"""(status code, seconds)"""


class RpcMetrics:
    """The histogram `rpc.server.call.duration` of one registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self._histogram = Histogram(
            METRIC,
            names.RPC_SERVER_CALL_DURATION_HELP,
            [
                label.replace(".", "_")
                for label in (
                    names.RPC_SYSTEM_NAME,
                    names.RPC_METHOD,
                    names.RPC_RESPONSE_STATUS_CODE,
                )
            ],
            buckets=names.DURATION_BUCKETS,
            registry=registry,
        )

    def bind(self, method: str) -> Observe:
        """The recorder of one method (`package.Service/Method`)."""
        bound: dict[Code, Callable[[float], None]] = {}
        histogram = self._histogram

        def observe(code: Code, seconds: float) -> None:
            record = bound.get(code)
            if record is None:
                record = bound[code] = histogram.labels(
                    names.RPC_SYSTEM_GRPC, method, code.name
                ).observe
            record(seconds)

        return observe
