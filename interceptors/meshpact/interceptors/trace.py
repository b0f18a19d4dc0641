"""Tracing: W3C trace context in, one server span a call out.

`FastTracing` makes spans of its own and hands them to the processors: what mesh.yaml sets up.
`ProviderTracing` goes through the tracer of any provider, for those who bring one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextvars import Token
from typing import Final, Protocol

import msgspec
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import (
    INVALID_SPAN,
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
from meshpact.interceptors.errors import Code
from meshpact.interceptors.span import ServerSpan
from meshpact.interceptors.tracecontext import is_sampled, is_traceparent

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_NO_STATE: Final = TraceState()
_ERROR: Final = Status(StatusCode.ERROR)
_SPAN_KEY: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))


class Started(msgspec.Struct):
    """A call's place in its trace: its span, recorded or not, and what gives the thread its former
    OpenTelemetry context back."""

    span: Span
    recorded: bool
    token: Token[Context]

    @property
    def traceparent(self) -> str:
        """The header for calls made under the span."""
        span = self.span.get_span_context()
        return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags & 1:02x}"

    def detach(self) -> None:
        """Gives the thread its former context back; a task of its own needs none."""
        otel_context.detach(self.token)


Start = Callable[[str, str], Started]
"""(`traceparent` as it came or "", `tracestate`) -> the call's span is OpenTelemetry's current."""


class Tracing(Protocol):
    """Starts the spans of calls."""

    def bind(self, method: str, /) -> Start:
        """What starts the spans of one method (`package.Service/Method`)."""
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

    def bind(self, method: str, /) -> Start:
        """A recording span when the parent, or by ratio a call without one, is sampled."""
        bound, resource, processors = self._bound, self._resource, self._processors
        bits, attach = random.getrandbits, otel_context.attach

        def start(traceparent: str, tracestate: str) -> Started:
            if is_traceparent(traceparent):
                if not is_sampled(traceparent):
                    passed = Passed(traceparent, tracestate)
                    return Started(passed, False, attach(Context({_SPAN_KEY: passed})))
                trace_id = int(traceparent[3:35], 16)
                state = TraceState.from_header([tracestate]) if tracestate else _NO_STATE
            else:
                trace_id, state, traceparent = bits(128) or 1, _NO_STATE, ""
                if trace_id & 0xFFFFFFFFFFFFFFFF >= bound:
                    passed = Passed(f"00-{trace_id:032x}-{bits(64) or 1:016x}-00", "")
                    return Started(passed, False, attach(Context({_SPAN_KEY: passed})))
            span = ServerSpan(
                method,
                SpanContext(trace_id, bits(64) or 1, False, _SAMPLED, state),
                Passed(traceparent, tracestate) if traceparent else None,
                resource,
                {names.RPC_SYSTEM_NAME: names.RPC_SYSTEM_GRPC, names.RPC_METHOD: method},
                processors,
            )
            return Started(span, True, attach(Context({_SPAN_KEY: span})))

        return start

    def shutdown(self) -> None:
        """Flushes and ends the processors."""
        for processor in self._processors:
            processor.shutdown()


class Passed(NonRecordingSpan):
    """The span of a caller, or one that nobody records; read only if somebody asks."""

    def __init__(self, traceparent: str, tracestate: str) -> None:
        self._traceparent = traceparent
        self._tracestate = tracestate

    def get_span_context(self) -> SpanContext:
        """Its IDs and flags."""
        return _remote(self._traceparent, self._tracestate)

    def __repr__(self) -> str:
        return f"Passed({self._traceparent})"


class ProviderTracing:
    """Goes through `provider`'s tracer: any sampler, limits and processors, at their own cost."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("meshpact")

    def bind(self, method: str, /) -> Start:
        """A span of the provider's, recording or not as its sampler says."""
        attributes = {names.RPC_SYSTEM_NAME: names.RPC_SYSTEM_GRPC, names.RPC_METHOD: method}

        def start(traceparent: str, tracestate: str) -> Started:
            context = Context()
            if is_traceparent(traceparent):
                context = set_span_in_context(Passed(traceparent, tracestate), context)
            span = self._tracer.start_span(
                method, context=context, kind=SpanKind.SERVER, attributes=attributes
            )
            token = otel_context.attach(set_span_in_context(span, context))
            return Started(span, span.is_recording(), token)

        return start

    def shutdown(self) -> None:
        """Does nothing: the provider is its owner's."""


def finish(started: Started, code: Code, error_type: str) -> None:
    """Ends a call's span with its status, as the gRPC conventions have it."""
    span = started.span
    if not started.recorded:
        return
    if isinstance(span, ServerSpan):
        span.finish(code, error_type)
        return
    span.set_attribute(names.RPC_RESPONSE_STATUS_CODE, code.name)
    if error_type:
        span.set_attribute(names.ERROR_TYPE, error_type)
        if code in names.SERVER_ERRORS:
            span.set_status(_ERROR)
    span.end()


def _remote(traceparent: str, tracestate: str) -> SpanContext:
    return SpanContext(
        int(traceparent[3:35], 16),
        int(traceparent[36:52], 16),
        True,
        _SAMPLED if is_sampled(traceparent) else _UNSAMPLED,
        TraceState.from_header([tracestate]) if tracestate else _NO_STATE,
    )
