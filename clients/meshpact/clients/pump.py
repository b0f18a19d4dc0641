"""Sends an iterable of requests on a call of grpc.aio, in a task of its own.

grpc's own consumer turns an exception of the iterable into a cancellation nobody can explain, and
waits on the iterable for ever when the server ends the call first. This one does neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from typing import Generic

import grpc
import grpc.aio

from meshpact.interceptors.spec import Req


class Pump(Generic[Req]):
    """Runs from its making until the requests are through, the call is over, or `stop`."""

    __slots__ = ("_call", "_task", "error")

    def __init__(
        self,
        call: grpc.aio.StreamUnaryCall[bytes, bytes] | grpc.aio.StreamStreamCall[bytes, bytes],
        requests: AsyncIterable[Req] | Iterable[Req],
    ) -> None:
        self.error: Exception | None = None
        """What the iterable raised; the call is cancelled then."""
        self._call = call
        self._task = asyncio.create_task(self._run(requests))

    async def _run(self, requests: AsyncIterable[Req] | Iterable[Req]) -> None:
        write = self._call.write
        try:
            if isinstance(requests, AsyncIterable):
                async for request in requests:
                    raw = request.SerializeToString()
                    try:
                        await write(raw)
                    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                        return  # the call is over: who reads from it learns why
            else:
                for request in requests:
                    raw = request.SerializeToString()
                    try:
                        await write(raw)
                    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                        return
        except Exception as error:
            self.error = error
            self._call.cancel()
            return
        try:
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return

    async def stop(self) -> None:
        """Cancels the call and what still waits to be sent on it; harmless when both are over."""
        self._call.cancel()
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
