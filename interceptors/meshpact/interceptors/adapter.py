"""What the adapters for grpc.aio and grpc.server share: from a method of a contract to a handler
of grpc, by the method's shape. The guard parses and serializes: grpc moves bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import grpc

from meshpact.interceptors.auditlines import Intent
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.guard import Guard, GuardedMethod, Running
from meshpact.interceptors.spec import MethodSpec

Handler = Callable[..., Any]
"""A servicer's bound method: (request or iterator of requests, Call) -> a response or a coroutine
of one, or an iterator of responses; the iterators are async on grpc.aio."""


class Answer(Protocol):
    """Makes what grpc calls for each call of a method: (what came in, context) -> what goes out."""

    def __call__(
        self, method: GuardedMethod, bound: Handler, *, streaming: bool, strict: bool
    ) -> Callable[..., Any]:
        """`streaming`: the client sends a stream. `strict`: a unary request is taken as one."""
        ...


@dataclass(frozen=True, slots=True)
class Adapter:
    """One of the two: `once` answers with one message, `stream` with many."""

    once: Answer
    stream: Answer
    record: Callable[[Intent, Handler], tuple[Handler, Handler]]
    """A handler that runs once its call is on record: (for one response, for a stream of them)."""
    cut: Callable[[GuardedMethod, Running, Any, StatusError], None]
    """Ends a running call from outside: (its method, the call, its handle, why). Any thread."""
    never: Handler
    """Stands where no handler is ever reached."""
    grpc_serializes: bool
    """Whether the messages of streams are parsed and serialized inside grpc's own reading and
    writing, where what that raises reaches the handler's task as it is."""

    def handler(
        self, guard: Guard, spec: MethodSpec[Any, Any], bound: Handler, *, strict: bool = False
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """A servicer's method under guard, ready for a generic RPC handler.

        With `strict`, a unary request is taken as a stream, so that none and two messages are
        refused at once (CARDINALITY). Raises PolicyError when the method has no sound policy.
        """
        return self.guarded(
            guard.compile(spec),
            bound,
            request_streaming=spec.request_streaming,
            response_streaming=spec.response_streaming,
            strict=strict,
        )

    def unknown(self, guard: Guard, path: str) -> grpc.RpcMethodHandler[Any, Any]:
        """What answers calls of a method that the server does not have."""
        return self.guarded(
            guard.refuse_unknown(path),
            self.never,
            request_streaming=True,
            response_streaming=False,
        )

    def guarded(
        self,
        method: GuardedMethod,
        bound: Handler,
        *,
        request_streaming: bool,
        response_streaming: bool,
        strict: bool = False,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """`bound` under a compiled policy."""
        if method.intent is not None:
            bound = self.record(method.intent, bound)[response_streaming]
        if method.registry is not None:
            method.registry.cut = partial(self.cut, method)
        answer = self.stream if response_streaming else self.once
        run = answer(method, bound, streaming=request_streaming, strict=strict)
        build = _BUILDERS[request_streaming or strict, response_streaming]
        if not self.grpc_serializes:
            return build(run, None, None)
        return build(
            run,
            method.accept if request_streaming or strict else None,
            method.serialize if response_streaming else None,
        )


_BUILDERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
