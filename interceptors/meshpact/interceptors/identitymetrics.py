"""When this process's own identity ends, for alerts long before it does."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from meshpact.certs.source import IdentitySource
from meshpact.interceptors import conventions as names


def watch_identity(source: IdentitySource, registry: CollectorRegistry) -> None:
    """Adds a gauge to the registry: the end of the SVID in seconds since the epoch, read from the
    source each time that the metrics are."""
    gauge = Gauge(names.IDENTITY_EXPIRY, names.IDENTITY_EXPIRY_HELP, registry=registry)
    gauge.set_function(lambda: source.current().svid.not_after)
