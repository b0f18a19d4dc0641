"""The guards that are measured: the full chain of a server in production, and less of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry

from meshpact.certs.source import IdentitySource
from meshpact.interceptors.assemble import SPAN_QUEUE
from meshpact.interceptors.auditfile import AuditFile
from meshpact.interceptors.auditwriter import AuditWriter
from meshpact.interceptors.guard import Guard
from meshpact.interceptors.identity import Peers
from meshpact.interceptors.metrics import METRIC, RpcMetrics
from meshpact.interceptors.tokens import Tokens
from meshpact.interceptors.trace import FastTracing
from meshpact.mesh.bindings import Reloader
from meshpact.mesh.networks import Networks
from overhead.stage import SERVER, Stage


class Counting(SpanExporter):
    """Exports spans to nowhere, and counts them."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Counts a batch."""
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


@dataclass
class Telemetry:
    """What the measured server observes by, and what it saw."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    exporter: Counting = field(default_factory=Counting)

    def __post_init__(self) -> None:
        self.metrics = RpcMetrics(self.registry)
        self.processor = BatchSpanProcessor(self.exporter, max_queue_size=SPAN_QUEUE)

    def settle(self) -> None:
        """Exports what waits, so that no chunk pays for the spans of another."""
        self.processor.force_flush()

    def calls(self) -> int:
        """Calls that the guard's metrics have counted, whatever their status."""
        return sum(
            round(sample.value)
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == f"{METRIC}_count"
        )


@dataclass(frozen=True)
class Guards:
    """The full chain, and the chain without tracing (validation goes with the message)."""

    full: Guard
    untraced: Guard


def guards(
    stage: Stage,
    identity: IdentitySource,
    telemetry: Telemetry,
    tokens: Tokens | None = None,
) -> Guards:
    """Guards as a server of the mesh has them: real certificates, roles and networks."""
    config = stage.config()
    bindings = Reloader(stage.mesh_file)
    peers = Peers(identity)
    networks = Networks(config.networks)
    audit = AuditWriter(AuditFile(stage.audit_file))
    tracing = FastTracing([telemetry.processor], Resource.create({SERVICE_NAME: SERVER}))

    def guard(traced: bool) -> Guard:
        return Guard(
            service=SERVER,
            peers=peers,
            bindings=bindings,
            networks=networks,
            tokens=tokens,
            tracing=tracing if traced else None,
            metrics=telemetry.metrics,
            audit=audit,
            max_metadata_bytes=config.limits.max_metadata_bytes,
        )

    return Guards(guard(True), guard(False))
