"""Sends an iterable of requests on a call of grpc.aio, in a task of its own.

grpc's own consumer turns an exception of the iterable into a cancellation nobody can explain, waits
on the iterable for ever when the server ends the call first, and may then hide the status that the
server gave. This one does none of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
)
from typing import Final, Generic, TypeAlias

import grpc
import grpc.aio

from meshpact.interceptors.spec import Req

_OVER: Final = (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError)
"""What writing raises when the call is over; who reads from the call learns why."""


Streaming: TypeAlias = (
    "grpc.aio.StreamUnaryCall[bytes, bytes] | grpc.aio.StreamStreamCall[bytes, bytes]"
)


def _writer(call: Streaming) -> Callable[[bytes], Awaitable[None]]:
    """How to write to a call so that a write which fails leaves the call's status alone.

    The public `write` answers a failed write by making INTERNAL the status of the whole call, and
    so hides the one that the server has sent: of calls that a server ends while the client still
    sends, every second one. Below it lies what only sends. Calls with interceptors have no such
    thing; they keep `write`.
    """
    below = getattr(call, "_cython_call", None)
    send: Callable[[bytes], Awaitable[None]] | None = getattr(
        below, "send_serialized_message", None
    )
    return call.write if send is None else send


class Pump(Generic[Req]):
    """Runs from its making until the requests are through, the call is over, or `stop`."""

    __slots__ = ("_call", "_requests", "_task", "error")

    def __init__(
        self,
        call: Streaming,
        requests: AsyncIterable[Req] | Iterable[Req],
    ) -> None:
        self.error: Exception | None = None
        """What the iterable raised; the call is cancelled then."""
        self._call = call
        self._requests = requests
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        requests = self._requests
        try:
            await self._call.wait_for_connection()
        except _OVER:
            return
        write = _writer(self._call)
        try:
            if isinstance(requests, AsyncIterable):
                async for request in requests:
                    raw = request.SerializeToString()
                    try:
                        await write(raw)
                    except _OVER:
                        return
            else:
                for request in requests:
                    raw = request.SerializeToString()
                    try:
                        await write(raw)
                    except _OVER:
                        return
        except Exception as error:
            self.error = error
            self._call.cancel()
            return
        with contextlib.suppress(*_OVER):
            await self._call.done_writing()

    async def stop(self) -> None:
        """Cancels the call and what still waits to be sent on it; harmless when both are over.

        A generator of requests is closed here and now, not whenever it is collected.
        """
        self._call.cancel()
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        requests: object = self._requests
        if inspect.isasyncgen(requests):
            await requests.aclose()
        elif inspect.isgenerator(requests):
            requests.close()
