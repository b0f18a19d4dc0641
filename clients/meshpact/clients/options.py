"""The channel arguments of C-core for a client of the mesh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from meshpact.clients import retries
from meshpact.interceptors.policy import DEFAULT_MESSAGE_BYTES
from meshpact.interceptors.spec import ServiceSpec

COMMON: Final[tuple[tuple[str, int], ...]] = (
    # No connection is shared with a channel of another identity in this process.
    ("grpc.use_local_subchannel_pool", 1),
    # A service that restarts is back within seconds; core's own 120 s are for the internet.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 3_000),
    # A peer that vanished is noticed while a call waits for it. Servers allow a ping in 10 s.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # What a request may weigh is the server's to say, with a reason.
    ("grpc.max_send_message_length", -1),
)


def channel_options(services: Sequence[ServiceSpec]) -> list[tuple[str, str | int]]:
    """The arguments of a channel on which clients of these services are made."""
    largest = max(
        (method.policy.response_bytes for spec in services for method in spec.methods),
        default=DEFAULT_MESSAGE_BYTES,
    )
    return [
        *COMMON,
        ("grpc.max_receive_message_length", largest),
        *retries.channel_options(services),
    ]
