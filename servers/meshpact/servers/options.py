"""What a server's connections may cost, as channel arguments of C-core."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from meshpact.interceptors.spec import ServiceSpec

Arguments = list[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one server; times in seconds, sizes in bytes."""

    connections: int | None = None
    """Connections at once; None: as many as the process has descriptors."""
    streams_per_connection: int = 1000
    """Calls at once on one connection; clients queue what is above."""
    metadata_bytes: int = 64 * 1024
    """What core lets through. The guard's own limit is lower, and answers with a reason."""
    connection_age: float = 1800.0
    """A connection is ended in good order at this age: clients make a new one, and see new
    addresses. It also bounds calls that never say anything."""
    connection_age_grace: float = 60.0
    """How long calls on a connection that is too old may go on."""
    connection_idle: float = 900.0
    """A connection without calls is ended after this."""
    handshake: float = 10.0
    """For TCP's accept to the end of TLS and HTTP/2's settings."""
    keepalive: float = 60.0
    """Silence after which a connection is pinged."""
    keepalive_timeout: float = 20.0
    """How long the answer may take before the connection counts as lost."""
    client_ping_interval: float = 10.0
    """Clients that ping more often, without data, are cut off after two strikes."""


def arguments(limits: Limits, services: Iterable[ServiceSpec]) -> Arguments:
    """The channel arguments of a server with these services.

    Core's limit of a message stands a quarter above the largest policy, so that the guard, which
    gives reasons, answers what is only a little too large.
    """
    policies = [method.policy for spec in services for method in spec.methods]
    largest = max((policy.request_bytes for policy in policies), default=0)
    largest_sent = max((policy.response_bytes for policy in policies), default=-1)
    found: Arguments = [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", largest + largest // 4),
        ("grpc.max_send_message_length", largest_sent),
        ("grpc.max_metadata_size", limits.metadata_bytes),
        ("grpc.absolute_max_metadata_size", limits.metadata_bytes),
        ("grpc.max_concurrent_streams", limits.streams_per_connection),
        ("grpc.max_connection_age_ms", _ms(limits.connection_age)),
        ("grpc.max_connection_age_grace_ms", _ms(limits.connection_age_grace)),
        ("grpc.max_connection_idle_ms", _ms(limits.connection_idle)),
        ("grpc.server_handshake_timeout_ms", _ms(limits.handshake)),
        ("grpc.http2.settings_timeout", _ms(limits.handshake)),
        ("grpc.keepalive_time_ms", _ms(limits.keepalive)),
        ("grpc.keepalive_timeout_ms", _ms(limits.keepalive_timeout)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(limits.client_ping_interval)),
        ("grpc.http2.max_ping_strikes", 2),
    ]
    if limits.connections is not None:
        found.append(("grpc.max_allowed_incoming_connections", limits.connections))
    return found


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
