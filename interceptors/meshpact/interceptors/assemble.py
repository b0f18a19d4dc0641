"""A guard as mesh.yaml describes it: identity, bindings, networks, issuers, limits, telemetry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CollectorRegistry

from meshpact.certs.source import IdentitySource
from meshpact.interceptors.access import BindingsSource
from meshpact.interceptors.auditfile import AuditFile, AuditFileError
from meshpact.interceptors.auditwriter import AuditWriter
from meshpact.interceptors.errors import MeshpactError
from meshpact.interceptors.guard import Guard
from meshpact.interceptors.identity import Peers
from meshpact.interceptors.identitymetrics import watch_identity
from meshpact.interceptors.issuers import tokens_for
from meshpact.interceptors.keyring import KeysError
from meshpact.interceptors.metrics import RpcMetrics
from meshpact.interceptors.trace import FastTracing
from meshpact.mesh import model
from meshpact.mesh.config import MeshConfig
from meshpact.mesh.networks import Networks

SPAN_QUEUE = 8192
"""Ended spans that wait for export; past it the oldest are dropped."""


class AssemblyError(MeshpactError):
    """mesh.yaml asks for something that cannot be had here; the message says what and why."""


@dataclass(frozen=True)
class Assembled:
    """A guard with what its owner must end: `close` flushes spans and the audit trail."""

    guard: Guard
    registry: CollectorRegistry
    audit: AuditWriter
    tracing: FastTracing | None

    def close(self) -> None:
        """Flushes what is to be flushed. Call it once the server has stopped."""
        if self.tracing is not None:
            self.tracing.shutdown()
        self.audit.close()


def guard_for(
    config: MeshConfig,
    service: str,
    *,
    identity: IdentitySource,
    bindings: BindingsSource,
    audit_path: Path,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Assembled:
    """The guard of one service (its name in mesh.yaml).

    `bindings` is a `meshpact.mesh.bindings.Reloader`, whose watching is its owner's. Limits and
    the age of issuers' keys go by `clock`, in seconds; tokens and the audit trail by `wall`, in
    seconds since the epoch. Raises AssemblyError when a key-set file cannot be read, the audit
    trail cannot be opened or the trace exporter is not installed.
    """
    try:
        tokens = tokens_for(config, service, clock=clock, wall=wall)
    except KeysError as error:
        raise AssemblyError(str(error)) from error
    registry = CollectorRegistry()
    watch_identity(identity, registry)
    tracing = _tracing(config.telemetry, service)
    try:
        audit = AuditWriter(
            AuditFile(
                audit_path,
                service=service,
                max_bytes=config.audit.max_bytes,
                keep=config.audit.keep,
            ),
            registry,
        )
    except AuditFileError as error:
        raise AssemblyError(str(error)) from error
    guard = Guard(
        service=service,
        peers=Peers(identity),
        bindings=bindings,
        networks=Networks(config.networks),
        tokens=tokens,
        tracing=tracing,
        metrics=RpcMetrics(registry),
        audit=audit,
        max_metadata_bytes=config.limits.max_metadata_bytes,
        clock=clock,
        wall=wall,
    )
    return Assembled(guard, registry, audit, tracing)


def _tracing(telemetry: model.Telemetry, service: str) -> FastTracing | None:
    if not telemetry.otlp_endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise AssemblyError(
            "telemetry.otlp_endpoint is set, but the exporter is not installed: "
            "pip install 'meshpact[otlp]', or leave the endpoint out"
        ) from error
    exporter = OTLPSpanExporter(
        endpoint=telemetry.otlp_endpoint, insecure=not telemetry.otlp_endpoint.startswith("https")
    )
    processors: Iterable[SpanProcessor] = [BatchSpanProcessor(exporter, max_queue_size=SPAN_QUEUE)]
    return FastTracing(
        list(processors), Resource.create({SERVICE_NAME: service}), ratio=telemetry.sample_ratio
    )
