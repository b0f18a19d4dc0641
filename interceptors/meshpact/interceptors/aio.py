"""The guard on grpc.aio: handlers of all four shapes, each one coroutine that runs a call whole."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from threading import get_ident
from typing import Any, Final, NoReturn, Protocol

from google.protobuf.message import Message
from grpc.aio import ServicerContext

from meshpact.interceptors.adapter import Adapter, Handler
from meshpact.interceptors.auditlines import WAIT, Intent, unavailable
from meshpact.interceptors.call import MetadataPairs, current_call
from meshpact.interceptors.errors import StatusError
from meshpact.interceptors.guard import GuardedMethod, Running
from meshpact.interceptors.keys import KeysError, Refreshable
from meshpact.interceptors.lapse import time_up
from meshpact.interceptors.message import cardinality
from meshpact.interceptors.status import Ending

log = logging.getLogger("meshpact.guard")

Context = ServicerContext[Any, Any]
Requests = AsyncIterator[Message]
Write = Callable[[Any], Awaitable[None]]

PATIENCE: Final = 1.0
"""Seconds that a handler whose call was cut off gets to come to its end."""


class Take(Protocol):
    """What comes off the wire -> what the handler gets."""

    async def __call__(self, method: GuardedMethod, received: Any, /) -> Any: ...


async def _one(method: GuardedMethod, body: bytes, /) -> Message:
    return method.accept(body)


async def _one_of_stream(_: GuardedMethod, requests: Requests, /) -> Message:
    request = await anext(requests, None)
    if request is None:
        raise cardinality("none")
    if await anext(requests, None) is not None:
        raise cardinality("more")
    return request


async def _stream(_: GuardedMethod, requests: Requests, /) -> Requests:
    return requests


def _unary_unary(
    method: GuardedMethod, bound: Handler
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    """The commonest shape, spelled out: it takes no step that it does not need."""
    begin, accept, emit, end = method.begin, method.accept, method.emit, method.end
    current_task = asyncio.current_task
    # To ask for the loop costs more than all else here. One of another thread will not do: what
    # runs there is another call.
    known: tuple[int, asyncio.AbstractEventLoop | None] = 0, None

    async def unary_unary(body: bytes, context: Context) -> bytes:
        nonlocal known
        thread, loop = known
        if thread != get_ident():
            loop = asyncio.get_running_loop()
            known = get_ident(), loop
        task = current_task(loop) or current_task()
        call = begin(context, _pairs(context), False, task)
        if not isinstance(call, Running):
            call = await _with_fresh_keys(method, context, call)
        try:
            if call.denial is not None:
                raise call.denial
            current_call.set(call)
            request = accept(body)
            if call.timer is None:
                data = emit(await bound(request, call))
            else:
                data = emit(await _within(call, bound(request, call)))
            if call.fault is not None:
                raise call.fault
        except BaseException as error:
            await _fail(method, call, context, error)
        if call.trailing:
            context.set_trailing_metadata(call.trailing)
        end(call, None)
        return data

    return unary_unary


def _answer_once(
    method: GuardedMethod, bound: Handler, *, streaming: bool, strict: bool
) -> Callable[[Any, Context], Awaitable[bytes]]:
    if not streaming and not strict:
        return _unary_unary(method, bound)
    take: Take = _stream if streaming else _one_of_stream
    emit, end = method.emit, method.end

    async def answer_once(received: Any, context: Context) -> bytes:
        call = await _begin(method, context)
        try:
            if call.denial is not None:
                raise call.denial
            current_call.set(call)

            async def run() -> bytes:
                request = await take(method, received)
                data = emit(await bound(request, call))
                if call.fault is not None:
                    raise call.fault
                return data

            data = await (run() if call.timer is None else _within(call, run()))
        except BaseException as error:
            await _fail(method, call, context, error)
        if call.trailing:
            context.set_trailing_metadata(call.trailing)
        end(call, None)
        return data

    return answer_once


def _answer_stream(
    method: GuardedMethod, bound: Handler, *, streaming: bool, strict: bool
) -> Callable[[Any, Context], Awaitable[None]]:
    take: Take = _stream if streaming else _one_of_stream if strict else _one
    emit, end, kind = method.emit, method.end, method.response

    async def answer_stream(received: Any, context: Context) -> None:
        # One coroutine, the loop within it: each message resumes every frame below grpc.
        call = await _begin(method, context)
        further = context.write
        write: Write = partial(write_first, call, further)
        scope = asyncio.timeout(call.timer)
        try:
            if call.denial is not None:
                raise call.denial
            current_call.set(call)
            async with scope:
                responses = bound(await take(method, received), call)
                try:
                    async for response in responses:
                        if response.__class__ is not kind:
                            emit(response)  # says what is wrong
                        try:
                            await write(response)
                            write = further
                        except Exception as error:
                            emit(response)  # raises when it is too large: then nobody is gone
                            raise Gone from error
                finally:
                    await _close(responses)
            if call.fault is not None:
                raise call.fault
        except BaseException as error:
            await _fail(method, call, context, _in_time(scope, call, error))
        if call.trailing:
            context.set_trailing_metadata(call.trailing)
        end(call, None)

    return answer_stream


async def write_first(call: Running, write: Write, response: Any) -> None:
    """Writes the first response, in which no denial may interrupt grpc (see `_cut`)."""
    call.opening = True
    await write(response)
    call.opening = False
    if call.fault is not None:
        raise call.fault


class Gone(Exception):
    """A response could not be written: the caller is not there any more."""


def _pairs(context: Context) -> MetadataPairs:
    return tuple(context.invocation_metadata() or ())


async def _begin(method: GuardedMethod, context: Context) -> Running:
    call = method.begin(context, _pairs(context), False, asyncio.current_task())
    return call if isinstance(call, Running) else await _with_fresh_keys(method, context, call)


async def _with_fresh_keys(
    method: GuardedMethod, context: Context, missing: Refreshable
) -> Running:
    """Brings what the call's token needs, then begins again with what there is."""
    gone: asyncio.CancelledError | None = None
    try:
        await missing.refresh_async()
    except KeysError as error:
        log.warning("%s: %s", method.path, error)
    except asyncio.CancelledError as cancelled:
        gone = cancelled
    call = method.begin(context, _pairs(context), True, asyncio.current_task())
    assert isinstance(call, Running)
    if gone is not None:
        method.end(call, gone)
        raise gone
    return call


async def _within(call: Running, work: Awaitable[Any]) -> Any:
    """Awaits `work` for as long as the call may run."""
    scope = asyncio.timeout(call.timer)
    try:
        async with scope:
            return await work
    except TimeoutError as error:
        raise _in_time(scope, call, error) from None


def _in_time(scope: asyncio.Timeout, call: Running, error: BaseException) -> BaseException:
    """What ended a call: the end of its time, if that is what the exception stands for."""
    if isinstance(error, TimeoutError) and scope.expired() and call.timer is not None:
        return time_up(call)
    return error


async def _close(responses: Any) -> None:
    close = getattr(responses, "aclose", None)
    if close is not None:
        await close()


async def _fail(
    method: GuardedMethod, call: Running, context: Context, error: BaseException
) -> NoReturn:
    """Ends a call that failed: tells the observers, then the caller where one is left."""
    if isinstance(error, Gone):
        error = asyncio.CancelledError()
    if isinstance(error, asyncio.CancelledError) and call.fault is not None:
        error = call.fault  # that is why it was cancelled
    ending = method.end(call, error)
    if ending is None:
        raise asyncio.CancelledError  # its end was given already: grpc takes this without a word
    if not isinstance(error, Exception):
        raise error
    await context.abort(ending.code, ending.details, ending.trailing)


def _record(intent: Intent, bound: Handler) -> tuple[Handler, Handler]:
    async def recorded(call: Running) -> None:
        try:
            await asyncio.wait_for(
                asyncio.wrap_future(intent(call)), min(WAIT, call.time_remaining())
            )
        except OSError as error:  # a TimeoutError is one
            call.fault = unavailable(error)
            raise call.fault from None

    async def once(request: Any, call: Running) -> Any:
        await recorded(call)
        return await bound(request, call)

    async def stream(request: Any, call: Running) -> AsyncIterator[Any]:
        await recorded(call)
        responses = bound(request, call)
        try:
            async for response in responses:
                yield response
        finally:
            await _close(responses)

    return once, stream


def _cut(method: GuardedMethod, call: Running, task: Any, error: StatusError) -> None:
    """Cancels the call's task; a call whose handler goes on nevertheless is ended without it."""
    assert method.registry is not None
    running = method.registry.calls
    loop: asyncio.AbstractEventLoop = task.get_loop()

    def cut() -> None:
        if call in running:
            call.fault = error
            # grpc takes no status any more from a call whose very first write was cancelled.
            if not call.opening:
                task.cancel()
            loop.call_later(PATIENCE, end)

    def end() -> None:
        ending = method.end(call, error)
        if ending is not None:
            ends = loop.create_task(_abort(call.wire, ending))
            _ending.add(ends)
            ends.add_done_callback(_ending.discard)
            task.cancel()

    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(cut)


_ending: Final = set[asyncio.Task[None]]()
"""Holds on to tasks, which nobody else does."""


async def _abort(context: Any, ending: Ending) -> None:
    with contextlib.suppress(Exception):  # grpc's way to leave a handler; or the caller has gone
        await context.abort(ending.code, ending.details, ending.trailing)


async def _never(_request: Any, _call: Any) -> Any:
    raise AssertionError("a refused call has no handler")


AIO: Final = Adapter(_answer_once, _answer_stream, _record, _cut, _never, grpc_serializes=True)

handler = AIO.handler
unknown = AIO.unknown
