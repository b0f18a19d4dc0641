"""The guard as a grpc.ServerInterceptor, for servers that Meshpact does not assemble."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc

from meshpact.interceptors.adapter import Handler
from meshpact.interceptors.adoption import AdoptedContext, Adopter, Overlay
from meshpact.interceptors.call import Call
from meshpact.interceptors.guard import Guard, GuardedMethod
from meshpact.interceptors.sync import SYNC


class GuardInterceptor(grpc.ServerInterceptor):
    """Guards a grpc.server that one already has: `grpc.server(..., interceptors=[this])`.

    Policies are found by method name among the loaded contracts and in `overlay`; a method without
    one is answered METHOD_UNKNOWN. Handlers keep their `context`, whose `abort` and `set_code`
    lead into the funnel.
    """

    def __init__(self, guard: Guard, *, overlay: Overlay | None = None) -> None:
        self._adopter = Adopter(guard, overlay or {}, SYNC, _adopted)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Puts the method's policy before its handler."""
        found = continuation(handler_call_details)
        return self._adopter.handler(handler_call_details.method, found)


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
