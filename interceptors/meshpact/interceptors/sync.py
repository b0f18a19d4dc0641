"""The guard on grpc.server: handlers of all four shapes, each run whole by one thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import Message

from meshpact.interceptors import deadline
from meshpact.interceptors.call import MetadataPairs, current_call
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.guard import Guard, GuardedMethod, Running
from meshpact.interceptors.keys import KeysError
from meshpact.interceptors.message import cardinality
from meshpact.interceptors.spec import MethodSpec

log = logging.getLogger("meshpact.guard")

Context = grpc.ServicerContext
Bodies = Iterator[bytes]
Handler = Callable[..., Any]
"""A servicer's bound method: (request or iterator of requests, Call) -> a response, or an iterator
of responses."""

_END: Final = object()
"""What comes after the last response: None is a response, though no right one."""

TIMED_THREADS: Final = 64
"""Handlers that run at once under a deadline which the server must enforce itself."""


def handler(
    guard: Guard, spec: MethodSpec[Any, Any], bound: Handler, *, strict: bool = False
) -> grpc.RpcMethodHandler[Any, Any]:
    """A servicer's method under guard, ready for a generic RPC handler of grpc.server.

    With `strict`, a unary request is taken as a stream, so that none and two messages are refused
    at once (CARDINALITY). Raises PolicyError when the method has no sound policy.
    """
    return guarded_handler(
        guard.compile(spec),
        bound,
        request_streaming=spec.request_streaming,
        response_streaming=spec.response_streaming,
        strict=strict,
    )


def unknown(guard: Guard, path: str) -> grpc.RpcMethodHandler[Any, Any]:
    """What answers calls of a method that the server does not have."""
    return guarded_handler(
        guard.refuse_unknown(path), _never, request_streaming=True, response_streaming=False
    )


def guarded_handler(
    method: GuardedMethod,
    bound: Handler,
    *,
    request_streaming: bool,
    response_streaming: bool,
    strict: bool = False,
) -> grpc.RpcMethodHandler[Any, Any]:
    """`bound` under a compiled policy. Bytes go in and out: the guard parses and serializes."""
    streamed = request_streaming or strict
    take: Take = _stream if request_streaming else _one_of_stream if strict else _one
    if response_streaming:
        build = (
            grpc.stream_stream_rpc_method_handler
            if streamed
            else grpc.unary_stream_rpc_method_handler
        )
        return build(_answer_stream(method, bound, take), None, None)
    build = (
        grpc.stream_unary_rpc_method_handler if streamed else grpc.unary_unary_rpc_method_handler
    )
    return build(_answer_once(method, bound, take), None, None)


class Take(Protocol):
    """What comes off the wire -> what the handler gets."""

    def __call__(self, method: GuardedMethod, call: Running, received: Any, /) -> Any: ...


def _one(method: GuardedMethod, call: Running, body: bytes, /) -> Message:
    try:
        return method.accept(body)
    except StatusError as error:
        call.fault = error
        raise


def _one_of_stream(method: GuardedMethod, call: Running, bodies: Bodies, /) -> Message:
    try:
        first = next(bodies, None)
        if first is None:
            raise cardinality("none")
        request = method.accept(first)
        if next(bodies, None) is not None:
            raise cardinality("more")
    except StatusError as error:
        call.fault = error
        raise
    return request


def _stream(method: GuardedMethod, call: Running, bodies: Bodies, /) -> Iterator[Message]:
    """Each message is checked before the handler sees it; one at fault ends stream and call,
    whatever the handler makes of the exception."""
    accept = method.accept
    for body in bodies:
        try:
            request = accept(body)
        except StatusError as error:
            call.fault = error
            raise
        yield request


def _answer_once(
    method: GuardedMethod, bound: Handler, take: Take
) -> Callable[[Any, Context], bytes]:
    emit, end = method.emit, method.end

    def answer_once(received: Any, context: Context) -> bytes:
        call = _begin(method, context)
        token = current_call.set(call)
        try:
            if call.denial is not None:
                raise call.denial
            request = take(method, call, received)
            if call.timer is None:
                response = bound(request, call)
            else:
                response = _Timed(call).run(bound, request, call)
            data = emit(response)
            if call.fault is not None:
                raise call.fault
            if call.trailing:
                context.set_trailing_metadata(tuple(call.trailing))
            end(call, None if context.is_active() else asyncio.CancelledError())
            return data
        except BaseException as error:
            _fail(method, call, context, error)
            return b""
        finally:
            current_call.reset(token)
            if call.span is not None:
                call.span.detach()

    return answer_once


def _answer_stream(
    method: GuardedMethod, bound: Handler, take: Take
) -> Callable[[Any, Context], Iterator[bytes]]:
    emit, end = method.emit, method.end

    def answer_stream(received: Any, context: Context) -> Iterator[bytes]:
        call = _begin(method, context)
        token = current_call.set(call)
        responses: Iterator[Any] = iter(())
        try:
            if call.denial is not None:
                raise call.denial
            responses = bound(take(method, call, received), call)
            if call.timer is not None:
                responses = _Timed(call).iterate(responses)
            for response in responses:
                yield emit(response)
            if call.fault is not None:
                raise call.fault
            if call.trailing:
                context.set_trailing_metadata(tuple(call.trailing))
            end(call, None if context.is_active() else asyncio.CancelledError())
        except BaseException as error:
            _fail(method, call, context, error)
        finally:
            _close(responses)
            current_call.reset(token)
            if call.span is not None:
                call.span.detach()

    return answer_stream


class _Timed:
    """Runs a handler on a thread of its own, so that the call ends in time even if it does not.

    A thread cannot be stopped: a handler that overruns keeps its thread until it returns, but
    its caller is answered and what it still gives is thrown away.
    """

    _threads: Final = ThreadPoolExecutor(TIMED_THREADS, thread_name_prefix="meshpact-timed")

    def __init__(self, call: Running) -> None:
        assert call.timer is not None
        self._seconds = call.timer
        self._until = call.info.deadline
        self._context = copy_context()

    def run(self, work: Callable[..., Any], /, *arguments: Any) -> Any:
        future: Future[Any] = self._threads.submit(self._context.run, work, *arguments)
        try:
            return future.result(max(0.0, self._until - time.monotonic()))
        except TimeoutError:
            if future.done():
                raise
            future.cancel()
            raise deadline.exceeded(self._seconds) from None

    def iterate(self, responses: Iterator[Any]) -> Iterator[Any]:
        source = iter(responses)
        while (response := self.run(next, source, _END)) is not _END:
            yield response


def _pairs(context: Context) -> MetadataPairs:
    return tuple(context.invocation_metadata() or ())


def _begin(method: GuardedMethod, context: Context) -> Running:
    call = method.begin(context, _pairs(context), False)
    if isinstance(call, Running):
        return call
    try:
        call.refresh()
    except KeysError as error:
        log.warning("%s: %s", method.path, error)
    call = method.begin(context, _pairs(context), True)
    assert isinstance(call, Running)
    return call


def _close(responses: Any) -> None:
    close = getattr(responses, "close", None)
    if close is not None:
        try:
            close()
        except ValueError:
            return  # it still runs on a timed thread and ends there
        except Exception:
            log.exception("a handler failed while its stream was closed")


def _fail(method: GuardedMethod, call: Running, context: Context, error: BaseException) -> None:
    """Ends a call that failed: tells the observers, then the caller. Returns when none is left."""
    gone = not context.is_active()
    ending = method.end(call, asyncio.CancelledError() if gone else error)
    if not isinstance(error, Exception):
        raise error
    if gone or ending is None:
        return
    context.set_trailing_metadata(tuple(ending.trailing))
    context.abort(ending.code, ending.details)


def _never(_request: Any, _call: Any) -> Any:
    raise AssertionError("a refused call has no handler")
