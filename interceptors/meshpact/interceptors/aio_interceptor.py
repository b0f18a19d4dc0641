"""The guard as a grpc.aio.ServerInterceptor, for servers that Meshpact does not assemble."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NoReturn

import grpc
import grpc.aio

from meshpact.interceptors.adapter import Handler
from meshpact.interceptors.adoption import AdoptedContext, Adopter, Overlay
from meshpact.interceptors.aio import AIO, write_first
from meshpact.interceptors.call import Call, MetadataPairs
from meshpact.interceptors.guard import Guard, GuardedMethod, Running


class GuardInterceptor(grpc.aio.ServerInterceptor):
    """Guards a grpc.aio server that one already has: `grpc.aio.server(interceptors=[this])`.

    Policies are found by method name among the loaded contracts and in `overlay`; a method without
    one is answered METHOD_UNKNOWN. Handlers keep their `context`, whose `abort` and `set_code`
    lead into the funnel.
    """

    def __init__(self, guard: Guard, *, overlay: Overlay | None = None) -> None:
        self._adopter = Adopter(guard, overlay or {}, AIO, _adopted)

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Puts the method's policy before its handler."""
        found = await continuation(handler_call_details)
        return self._adopter.handler(handler_call_details.method, found)


class _AioContext(AdoptedContext):
    _written = False

    async def abort(  # type: ignore[override]
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: MetadataPairs = ()
    ) -> NoReturn:
        super().abort(code, details, trailing_metadata)

    async def write(self, message: Any) -> None:
        """Sends a response."""
        assert isinstance(self._call, Running)
        if self._written:
            await self._context.write(message)
        else:
            await write_first(self._call, self._context.write, message)
            self._written = True


_END: Final = object()
"""What comes after the last response: None is a response, though no right one."""


def _adopted(method: GuardedMethod, found: Any) -> Handler:
    """A handler of grpc's own kind (request, context) as one of ours (request, call)."""
    if found.response_streaming:
        return _adopted_stream(method, found.stream_stream or found.unary_stream)
    return _adopted_once(method, found.stream_unary or found.unary_unary)


def _adopted_once(method: GuardedMethod, behavior: Handler) -> Handler:
    async def once(request: Any, call: Call) -> Any:
        if inspect.iscoroutinefunction(behavior):
            context: AdoptedContext = _AioContext(method, call)
            with context:
                response = await behavior(request, context)
        else:
            context = AdoptedContext(method, call)
            with context:
                response = await asyncio.to_thread(behavior, request, context)
        return response

    return once


def _adopted_stream(method: GuardedMethod, behavior: Handler) -> Handler:
    async def stream(request: Any, call: Call) -> AsyncIterator[Any]:
        if inspect.isasyncgenfunction(behavior):
            context: AdoptedContext = _AioContext(method, call)
            with context:
                async for response in behavior(request, context):
                    yield response
        elif inspect.iscoroutinefunction(behavior):
            context = _AioContext(method, call)
            with context:
                await behavior(request, context)
        else:
            context = AdoptedContext(method, call)
            with context:
                responses = iter(await asyncio.to_thread(behavior, request, context))
                while (response := await asyncio.to_thread(next, responses, _END)) is not _END:
                    yield response

    return stream
