"""The guard as a grpc.ServerInterceptor, for servers that Meshpact does not assemble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import grpc

from meshpact.interceptors.adoption import AdoptedContext, Overlay, find_method
from meshpact.interceptors.call import Call
from meshpact.interceptors.guard import Guard, GuardedMethod
from meshpact.interceptors.sync import Handler, guarded_handler, unknown


class GuardInterceptor(grpc.ServerInterceptor):
    """Guards a grpc.server that one already has: `grpc.server(..., interceptors=[this])`.

    Policies are found by method name among the loaded contracts and in `overlay`; a method without
    one is answered METHOD_UNKNOWN. Handlers keep their `context`, whose `abort` and `set_code`
    lead into the funnel.
    """

    def __init__(self, guard: Guard, *, overlay: Overlay | None = None) -> None:
        self._guard = guard
        self._overlay = overlay or {}
        self._methods: dict[str, GuardedMethod] = {}
        self._handlers: dict[str, tuple[Any, grpc.RpcMethodHandler[Any, Any]]] = {}
        self._lock = Lock()

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Puts the method's policy before its handler."""
        path = handler_call_details.method
        found = continuation(handler_call_details)
        known = self._handlers.get(path)
        if known is not None and known[0] is found:
            return known[1]
        method = self._method(path) if found is not None else None
        if found is None or method is None:
            return unknown(self._guard, path)
        guarded = guarded_handler(
            method,
            _adopted(method, found),
            request_streaming=found.request_streaming,
            response_streaming=found.response_streaming,
        )
        self._handlers[path] = found, guarded
        return guarded

    def _method(self, path: str) -> GuardedMethod | None:
        # Only methods are remembered: paths are the callers' to choose, and without end.
        with self._lock:
            if path not in self._methods:
                spec = find_method(path, self._overlay)
                if spec is None:
                    return None
                self._methods[path] = self._guard.compile(spec)
            return self._methods[path]


def _adopted(method: GuardedMethod, found: Any) -> Handler:
    """A handler of grpc's own kind (request, context) as one of ours (request, call)."""
    behavior: Handler

    def once(request: Any, call: Call) -> Any:
        context = AdoptedContext(method, call)
        with context:
            return behavior(request, context)

    def stream(request: Any, call: Call) -> Iterator[Any]:
        context = AdoptedContext(method, call)
        with context:
            yield from behavior(request, context)

    if found.response_streaming:
        behavior = found.stream_stream or found.unary_stream
        return stream
    behavior = found.stream_unary or found.unary_unary
    return once
