"""The guard on grpc.server: handlers of all four shapes, each run whole by one thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import Message

from meshpact.interceptors.adapter import Adapter, Handler
from meshpact.interceptors.auditlines import WAIT, Intent, unavailable
from meshpact.interceptors.call import Call, MetadataPairs, current_call
from meshpact.interceptors.concurrency import overloaded
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.guard import GuardedMethod, Running
from meshpact.interceptors.keys import KeysError
from meshpact.interceptors.lapse import time_up
from meshpact.interceptors.message import cardinality
from meshpact.interceptors.sync_status import end_now
from meshpact.interceptors.timed import MAX_OVERRUNNING, Busy, Overran, TimedThreads

log = logging.getLogger("meshpact.guard")

Context = grpc.ServicerContext
Bodies = Iterator[bytes]


_END: Final = object()
"""What comes after the last response: None is a response, though no right one."""


class Take(Protocol):
    """What comes off the wire -> what the handler gets."""

    def __call__(self, method: GuardedMethod, received: Any, /) -> Any: ...


def _one(method: GuardedMethod, body: bytes, /) -> Message:
    return method.accept(body)


def _one_of_stream(method: GuardedMethod, bodies: Bodies, /) -> Message:
    first = next(bodies, None)
    if first is None:
        raise cardinality("none")
    request = method.accept(first)
    if next(bodies, None) is not None:
        raise cardinality("more")
    return request


def _stream(method: GuardedMethod, bodies: Bodies, /) -> Iterator[Message]:
    return _accepted(method.accept, current_call.get(), bodies)


def _accepted(
    accept: Callable[[bytes], Message], call: Call | None, bodies: Bodies
) -> Iterator[Message]:
    """Handlers may read on a thread of their own, which has no current call."""
    for body in bodies:
        try:
            request = accept(body)
        except StatusError as error:
            if isinstance(call, Running):
                call.fault = error
            raise
        yield request


def _answer_once(
    method: GuardedMethod, bound: Handler, *, streaming: bool, strict: bool
) -> Callable[[Any, Context], bytes]:
    take: Take = _stream if streaming else _one_of_stream if strict else _one
    emit, end = method.emit, method.end

    def answer_once(received: Any, context: Context) -> bytes:
        call = _begin(method, context)
        token = current_call.set(call)
        try:
            if call.denial is not None:
                raise call.denial
            request = take(method, received)
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
    method: GuardedMethod, bound: Handler, *, streaming: bool, strict: bool
) -> Callable[[Any, Context], Iterator[bytes]]:
    take: Take = _stream if streaming else _one_of_stream if strict else _one
    emit, end = method.emit, method.end

    def answer_stream(received: Any, context: Context) -> Iterator[bytes]:
        call = _begin(method, context)
        token = current_call.set(call)
        responses: Iterator[Any] = iter(())
        try:
            if call.denial is not None:
                raise call.denial
            responses = bound(take(method, received), call)
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


_timed: Final = TimedThreads()


class _Timed:
    """Runs a handler on a thread of its own, so that the call ends in time even if it does not."""

    def __init__(self, call: Running) -> None:
        assert call.timer is not None
        self._call = call
        self._until = call.started + call.timer
        self._context = copy_context()

    def run(self, work: Callable[..., Any], /, *arguments: Any) -> Any:
        try:
            return _timed.run(self._until, self._context.run, work, *arguments)
        except Overran:
            raise time_up(self._call) from None
        except Busy:
            raise overloaded(MAX_OVERRUNNING) from None

    def iterate(self, responses: Iterator[Any]) -> Iterator[Any]:
        source = iter(responses)
        while (response := self.run(next, source, _END)) is not _END:
            yield response


def _pairs(context: Context) -> MetadataPairs:
    return tuple(context.invocation_metadata() or ())


def _begin(method: GuardedMethod, context: Context) -> Running:
    call = method.begin(context, _pairs(context), False, context)
    if isinstance(call, Running):
        return call
    try:
        call.refresh()
    except KeysError as error:
        log.warning("%s: %s", method.path, error)
    call = method.begin(context, _pairs(context), True, context)
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


def _record(intent: Intent, bound: Handler) -> tuple[Handler, Handler]:
    def recorded(call: Running) -> None:
        try:
            intent(call).result(min(WAIT, call.time_remaining()))
        except OSError as error:  # a TimeoutError is one
            call.fault = unavailable(error)
            raise call.fault from None

    def once(request: Any, call: Running) -> Any:
        recorded(call)
        return bound(request, call)

    def stream(request: Any, call: Running) -> Iterator[Any]:
        recorded(call)
        yield from bound(request, call)

    return once, stream


def _cut(method: GuardedMethod, call: Running, context: Context, error: StatusError) -> None:
    """Answers the caller; the handler's thread is told as if the caller had gone."""
    call.fault = error
    ending = method.end(call, error)
    if ending is not None:
        end_now(context, ending)


def _never(_request: Any, _call: Any) -> Any:
    raise AssertionError("a refused call has no handler")


SYNC: Final = Adapter(_answer_once, _answer_stream, _record, _cut, _never, grpc_serializes=False)

handler = SYNC.handler
unknown = SYNC.unknown
