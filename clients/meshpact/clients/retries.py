"""Retries, left to C-core: the service config that tells it which methods it may try again.

Only methods whose contract calls them idempotent, and only on UNAVAILABLE (AIP-194, gRFC A6).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from meshpact.interceptors.spec import ServiceSpec

INITIAL_BACKOFF: Final = 0.05
MAX_BACKOFF: Final = 1.0
BACKOFF_MULTIPLIER: Final = 2.0
TOKENS: Final = 20
"""Retry throttling (gRFC A6): retries stop while over half of these are spent by failures."""
TOKEN_RATIO: Final = 0.1


def channel_options(services: Iterable[ServiceSpec]) -> list[tuple[str, str]]:
    """The options of a channel on which clients of these services are made.

    What core tries again by itself, because no server has seen it, stays on for every method.
    """
    configs = [
        {
            "name": [{"service": service.name, "method": method.name}],
            "retryPolicy": {
                "maxAttempts": method.policy.attempts,
                "initialBackoff": f"{INITIAL_BACKOFF}s",
                "maxBackoff": f"{MAX_BACKOFF}s",
                "backoffMultiplier": BACKOFF_MULTIPLIER,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
        for service in services
        for method in service.methods
        if method.policy.idempotent and method.policy.attempts > 1
    ]
    if not configs:
        return []
    config = {
        "methodConfig": configs,
        "retryThrottling": {"maxTokens": TOKENS, "tokenRatio": TOKEN_RATIO},
    }
    return [("grpc.service_config", json.dumps(config, separators=(",", ":")))]
