"""Tracing: W3C trace context in, one server span a call out.

`FastTracing` makes spans of its own and hands them to the processors: what mesh.yaml sets up.
`ProviderTracing` goes through the tracer of any provider, for those who bring one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from contextvars import Token
from typing import Final, NamedTuple, Protocol

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TracerProvider,
    TraceState,
    set_span_in_context,
)

from meshpact.interceptors import conventions as names
from meshpact.interceptors.call import TraceContext
from meshpact.interceptors.errors import Code
from meshpact.interceptors.span import ServerSpan

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_NO_STATE: Final = TraceState()
_ERROR: Final = Status(StatusCode.ERROR)


def parse_traceparent(header: str, state: str = "") -> TraceContext | None:
    """The trace context of a `traceparent`, None when it is absent or malformed (W3C level 2)."""
    match = _TRACEPARENT.fullmatch(header)
    if match is None:
        return None
    trace_id, span_id, flags, rest = match.groups()
    if trace_id == "0" * 32 or span_id == "0" * 16 or (rest and header.startswith("00")):
        return None
    return TraceContext(trace_id, span_id, int(flags, 16) & 1 == 1, state)


class Started(NamedTuple):
    """A call's place in its trace: what to send on, the span if sampled, what to detach."""

    context: TraceContext
    span: Span | None
    token: Token[Context]

    def detach(self) -> None:
        """Gives the thread its former context back; a task of its own needs none."""
        otel_context.detach(self.token)


class Tracing(Protocol):
    """Starts a call's span and makes it OpenTelemetry's current one."""

    def start(self, method: str, parent: TraceContext | None, /) -> Started:
        """`method` is `package.Service/Method`."""
        ...

    def shutdown(self) -> None:
        """Flushes and ends what exports spans."""
        ...


class FastTracing:
    """Samples as ParentBased(TraceIdRatioBased(ratio)) does; spans go straight to `processors`."""

    def __init__(
        self, processors: Sequence[SpanProcessor], resource: Resource, *, ratio: float = 1.0
    ) -> None:
        self._processors = tuple(processors)
        self._resource = resource
        self._bound = round(ratio * (1 << 64))

    def start(self, method: str, parent: TraceContext | None, /) -> Started:
        """A recording span when the parent, or by ratio a call without one, is sampled."""
        bits = random.getrandbits
        if parent is None:
            trace_id, state, remote = bits(128) or 1, "", None
            sampled = trace_id & 0xFFFFFFFFFFFFFFFF < self._bound
        else:
            trace_id, state, sampled = int(parent.trace_id, 16), parent.state, parent.sampled
            remote = _remote(parent, trace_id)
        if not sampled:
            passed = remote or SpanContext(trace_id, bits(64) or 1, False, _UNSAMPLED)
            token = otel_context.attach(set_span_in_context(NonRecordingSpan(passed)))
            return Started(parent or _sent(passed), None, token)
        span_id = bits(64) or 1
        span = ServerSpan(
            method,
            SpanContext(
                trace_id, span_id, False, _SAMPLED, remote.trace_state if remote else _NO_STATE
            ),
            remote,
            self._resource,
            {names.RPC_SYSTEM_NAME: names.RPC_SYSTEM_GRPC, names.RPC_METHOD: method},
            self._processors,
        )
        token = otel_context.attach(set_span_in_context(span))
        return Started(
            TraceContext(f"{trace_id:032x}", f"{span_id:016x}", True, state), span, token
        )

    def shutdown(self) -> None:
        """Flushes and ends the processors."""
        for processor in self._processors:
            processor.shutdown()


class ProviderTracing:
    """Goes through `provider`'s tracer: any sampler, limits and processors, at their own cost."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("meshpact")

    def start(self, method: str, parent: TraceContext | None, /) -> Started:
        """A span of the provider's, recording or not as its sampler says."""
        context = (
            set_span_in_context(NonRecordingSpan(_remote(parent, int(parent.trace_id, 16))))
            if parent
            else Context()
        )
        span = self._tracer.start_span(
            method,
            context=context,
            kind=SpanKind.SERVER,
            attributes={names.RPC_SYSTEM_NAME: names.RPC_SYSTEM_GRPC, names.RPC_METHOD: method},
        )
        token = otel_context.attach(set_span_in_context(span, context))
        return Started(_sent(span.get_span_context()), span if span.is_recording() else None, token)

    def shutdown(self) -> None:
        """Does nothing: the provider is its owner's."""


def finish(span: Span, code: Code, error_type: str) -> None:
    """Ends a span with the call's status, as the gRPC conventions have it."""
    span.set_attribute(names.RPC_RESPONSE_STATUS_CODE, code.name)
    if error_type:
        span.set_attribute(names.ERROR_TYPE, error_type)
        if code in names.SERVER_ERRORS:
            span.set_status(_ERROR)
    span.end()


def _remote(parent: TraceContext, trace_id: int) -> SpanContext:
    return SpanContext(
        trace_id,
        int(parent.span_id, 16),
        True,
        _SAMPLED if parent.sampled else _UNSAMPLED,
        TraceState.from_header([parent.state]) if parent.state else _NO_STATE,
    )


def _sent(context: SpanContext) -> TraceContext:
    return TraceContext(
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        bool(context.trace_flags.sampled),
        context.trace_state.to_header() if context.trace_state else "",
    )
