"""The server span that Meshpact makes itself: no locks, no copies, nothing that a call must pay."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import Attributes

from meshpact.interceptors import conventions as names
from meshpact.interceptors.errors import Code

_SCOPE: Final = InstrumentationScope("meshpact")
_UNSET: Final = Status(StatusCode.UNSET)
_ERROR: Final = Status(StatusCode.ERROR)
MAX_EVENTS: Final = 128
MAX_ATTRIBUTES: Final = 128


class ServerSpan(ReadableSpan, Span):
    """A recording span of kind SERVER that goes straight to the processors when it ends.

    A handler finds it as OpenTelemetry's current span and may add attributes and events; past
    128 of either, further ones are left out.
    """

    def __init__(
        self,
        name: str,
        context: SpanContext,
        parent: Span | None,
        resource: Resource,
        attributes: dict[str, Any],
        processors: Sequence[SpanProcessor],
    ) -> None:
        self._name = name
        self._context = context
        self._kind = SpanKind.SERVER
        self._instrumentation_info = None
        self._instrumentation_scope = _SCOPE
        self._remote = parent
        self._start_time = time.time_ns()
        self._end_time: int | None = None
        self._attributes: dict[str, Any] = attributes
        self._events: Sequence[Event] = ()
        self._links: Sequence[Link] = ()
        self._resource = resource
        self._status = _UNSET
        self._processors = processors

    @property
    def parent(self) -> SpanContext | None:
        """The caller's span."""
        return self._remote.get_span_context() if self._remote is not None else None

    def get_span_context(self) -> SpanContext:
        """The span's IDs and flags."""
        context = self._context
        assert context is not None
        return context

    def is_recording(self) -> bool:
        """Whether the span has not ended."""
        return self._end_time is None

    def set_attribute(self, key: str, value: Any) -> None:
        """Adds an attribute."""
        if self._end_time is None and (
            len(self._attributes) < MAX_ATTRIBUTES or key in self._attributes
        ):
            self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Adds attributes."""
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        """Adds an event."""
        if self._end_time is None and len(self._events) < MAX_EVENTS:
            self._events = (*self._events, Event(name, attributes, timestamp))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Adds a link to another span."""
        if self._end_time is None and len(self._links) < MAX_EVENTS:
            self._links = (*self._links, Link(context, attributes))

    def update_name(self, name: str) -> None:
        """Renames the span."""
        self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Sets the status; the guard sets it from the call's status code at the end."""
        if self._end_time is None:
            self._status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Adds an event of the exception, as the conventions for exceptions have it."""
        kind = type(exception)
        found: dict[str, Any] = {
            "exception.type": f"{kind.__module__}.{kind.__qualname__}",
            "exception.message": str(exception),
            "exception.stacktrace": "".join(traceback.format_exception(exception)),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**found, **(attributes or {})}, timestamp)

    def finish(self, code: Code, error_type: str) -> None:
        """Ends the span with its call's status, in one step."""
        if self._end_time is not None:
            return
        attributes = self._attributes
        if error_type:
            attributes[names.RPC_RESPONSE_STATUS_CODE] = code.name
            attributes[names.ERROR_TYPE] = error_type
            if code in names.SERVER_ERRORS:
                self._status = _ERROR
        else:
            attributes[names.RPC_RESPONSE_STATUS_CODE] = "OK"
        self._end_time = time.time_ns()
        for processor in self._processors:
            processor.on_end(self)

    def end(self, end_time: int | None = None) -> None:
        """Ends the span and hands it to the processors; only the first call counts."""
        if self._end_time is None:
            self._end_time = end_time or time.time_ns()
            for processor in self._processors:
                processor.on_end(self)
