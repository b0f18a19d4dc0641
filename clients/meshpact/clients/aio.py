"""The channel of asyncio programs: one for each target, shared by all clients of that target."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Sequence,
)
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

from meshpact.certs.credentials import channel_credentials
from meshpact.certs.credentials import channel_options as identity_options
from meshpact.certs.identity import FixedSource, Identity, IdentitySource
from meshpact.certs.spiffe import SpiffeId
from meshpact.clients.connections import Connections
from meshpact.clients.core import decoder, preparation
from meshpact.clients.diagnosis import Doctor
from meshpact.clients.errors import CallError, closed, cut, failure, not_ready
from meshpact.clients.exchangewait import Exchanging
from meshpact.clients.following import DEFAULT_ROTATION, Rotation
from meshpact.clients.forwarding import ALONE, Forwarding
from meshpact.clients.generations import Generation
from meshpact.clients.options import channel_options
from meshpact.clients.outgoing import Outgoing
from meshpact.clients.pump import Pump
from meshpact.interceptors.call import MetadataPairs
from meshpact.interceptors.spec import MethodSpec, Req, Res, ServiceSpec

Requests = AsyncIterable[Req] | Iterable[Req]
UnaryUnary = Callable[[Req, float | None, MetadataPairs, str], Coroutine[Any, Any, Res]]
UnaryStream = Callable[[Req, float | None, MetadataPairs, str], AsyncIterator[Res]]
StreamUnary = Callable[[Requests[Req], float | None, MetadataPairs, str], Coroutine[Any, Any, Res]]
StreamStream = Callable[[Requests[Req], float | None, MetadataPairs, str], AsyncIterator[Res]]


class Channel:
    """Calls to one workload, over mTLS, as one workload.

    `target` is what grpc dials (`127.0.0.1:50051`, `dns:///orders:50051`); `callee` is the SPIFFE
    ID that must answer there. `services` are the specs of the clients that will be made on this
    channel: their idempotent methods are tried again (AIP-194), and their responses may be as large
    as their contracts say. Without them nothing is tried again and 4 MiB is the limit.
    `options` are further channel arguments of grpc. `forwarding` says how the end user of the
    current call is passed on where a contract demands tokens of its own.

    When the workload gets a new certificate, new calls go over a new connection with it, and the
    old one is closed once its calls have ended; `rotation` bounds that.

    Make it inside a running event loop and close it there (`async with`, or `close`). Calls on a
    channel raise the contract's own errors, or `meshpact.clients.CallError`.
    """

    _forwarding = ALONE

    def __init__(
        self,
        target: str,
        *,
        identity: IdentitySource,
        callee: SpiffeId,
        services: Iterable[ServiceSpec] = (),
        options: Sequence[tuple[str, Any]] = (),
        rotation: Rotation = DEFAULT_ROTATION,
        forwarding: Forwarding = ALONE,
    ) -> None:
        self._forwarding = forwarding
        arguments = (
            *identity_options(callee),
            *channel_options(tuple(services)),
            *options,
        )

        def make(identity: Identity) -> grpc.aio.Channel:
            credentials = channel_credentials(FixedSource(identity), callee)
            return grpc.aio.secure_channel(target, credentials, options=arguments)

        first = identity.current()
        self._begin(
            target,
            Connections(make(first), first, rotation.alive),
            Doctor(target, callee),
        )
        self._connections.follow(identity, callee, make, rotation)

    @classmethod
    def over(cls, channel: grpc.aio.Channel, target: str = "") -> Channel:
        """Wraps a channel of grpc that is there already, with whatever security it has.

        It is closed with this one. `target` is for error messages.
        """
        made = cls.__new__(cls)
        made._begin(target, Connections(channel, None, 1))
        return made

    def _begin(self, target: str, connections: Connections, doctor: Doctor | None = None) -> None:
        self._target = target
        self._doctor = doctor
        self._closed = False
        self._connections = connections
        self._place = connections.generations.place
        self._enter = connections.generations.enter
        self._leave = connections.generations.leave

    @property
    def identity(self) -> Identity | None:
        """The identity that new calls go out with; None on a channel that was wrapped."""
        return self._connections.generations.current.identity

    @property
    def connections(self) -> int:
        """How many channels of grpc there are: one, and those on which old calls still run."""
        return len(self._connections.generations.alive)

    async def wait_ready(self, timeout: float) -> None:  # noqa: ASYNC109
        """Connects, in at most `timeout` seconds; CallError (UNAVAILABLE) when it cannot."""
        try:
            async with asyncio.timeout(timeout):
                await self._connections.ready()
        except TimeoutError:
            pass
        else:
            return
        why = "" if self._doctor is None else await self._doctor.words_async(self.identity)
        raise not_ready(self._target, timeout, why)

    async def close(self, grace: float | None = None) -> None:
        """Ends calls that still run after `grace` seconds, and the channel. Twice does no harm."""
        self._closed = True
        await self._connections.close(grace)

    async def aclose(self) -> None:
        """As `close()`: for `contextlib.aclosing` and its like."""
        await self.close()

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def unary_unary(self, spec: MethodSpec[Req, Res]) -> UnaryUnary[Req, Res]:
        """The callable behind a method with one request and one response."""
        place = self._place("unary_unary", spec.path)
        enter, leave = self._enter, self._leave
        prepare, decode, path = preparation(spec, self._forwarding), decoder(spec), spec.path

        async def invoke(
            request: Req, asked: float | None, metadata: MetadataPairs, token: str
        ) -> Res:
            try:
                seconds, sent = prepare(asked, metadata, token)
            except Exchanging as wanted:
                seconds, sent = await wanted.wait_async()
            raw_request = request.SerializeToString()
            used = enter()
            try:
                multi: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = used.methods[place]
                raw = await multi(raw_request, timeout=seconds, metadata=Outgoing(*sent))
            except (grpc.aio.AioRpcError, asyncio.CancelledError, grpc.aio.UsageError) as end:
                problem = self._explained(path, end, used)
            else:
                return decode(raw)
            finally:
                leave(used)
            raise await self._diagnosed(problem, used, seconds)

        return invoke

    def unary_stream(self, spec: MethodSpec[Req, Res]) -> UnaryStream[Req, Res]:
        """The callable behind a method that answers with a stream.

        The call is made when the first response is asked for, and cancelled when the iterator is
        closed or dropped before its end.
        """
        place = self._place("unary_stream", spec.path)
        enter, leave = self._enter, self._leave
        prepare, decode, path = preparation(spec, self._forwarding), decoder(spec), spec.path

        async def invoke(
            request: Req, asked: float | None, metadata: MetadataPairs, token: str
        ) -> AsyncGenerator[Res, None]:
            try:
                seconds, sent = prepare(asked, metadata, token)
            except Exchanging as wanted:
                seconds, sent = await wanted.wait_async()
            problem: BaseException
            raw_request = request.SerializeToString()
            call = None
            used = enter()
            try:
                multi: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = used.methods[place]
                call = multi(raw_request, timeout=seconds, metadata=Outgoing(*sent))
                async for raw in call:
                    yield decode(raw)
                return
            except (grpc.aio.AioRpcError, asyncio.CancelledError, grpc.aio.UsageError) as end:
                problem = self._explained(path, end, used)
            finally:
                if call is not None:
                    call.cancel()
                leave(used)
            raise await self._diagnosed(problem, used, seconds)

        return invoke

    def stream_unary(self, spec: MethodSpec[Req, Res]) -> StreamUnary[Req, Res]:
        """The callable behind a method that takes a stream.

        An exception of the iterable of requests cancels the call and is raised again here.
        """
        place = self._place("stream_unary", spec.path)
        enter, leave = self._enter, self._leave
        prepare, decode, path = preparation(spec, self._forwarding), decoder(spec), spec.path

        async def invoke(
            requests: Requests[Req], asked: float | None, metadata: MetadataPairs, token: str
        ) -> Res:
            try:
                seconds, sent = prepare(asked, metadata, token)
            except Exchanging as wanted:
                seconds, sent = await wanted.wait_async()
            problem: BaseException
            pump: Pump[Req] | None = None
            used = enter()
            try:
                multi: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = used.methods[place]
                call = multi(timeout=seconds, metadata=Outgoing(*sent))
                pump = Pump(call, requests)
                raw = await call
            except (grpc.aio.AioRpcError, asyncio.CancelledError, grpc.aio.UsageError) as end:
                problem = self._explained(path, end, used, pump)
            else:
                return decode(raw)
            finally:
                try:
                    if pump is not None:
                        await pump.stop()
                finally:
                    leave(used)
            raise await self._diagnosed(problem, used, seconds)

        return invoke

    def stream_stream(self, spec: MethodSpec[Req, Res]) -> StreamStream[Req, Res]:
        """The callable behind a method with a stream each way; see the two above."""
        place = self._place("stream_stream", spec.path)
        enter, leave = self._enter, self._leave
        prepare, decode, path = preparation(spec, self._forwarding), decoder(spec), spec.path

        async def invoke(
            requests: Requests[Req], asked: float | None, metadata: MetadataPairs, token: str
        ) -> AsyncGenerator[Res, None]:
            try:
                seconds, sent = prepare(asked, metadata, token)
            except Exchanging as wanted:
                seconds, sent = await wanted.wait_async()
            problem: BaseException
            pump: Pump[Req] | None = None
            used = enter()
            try:
                multi: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = used.methods[place]
                call = multi(timeout=seconds, metadata=Outgoing(*sent))
                pump = Pump(call, requests)
                async for raw in call:
                    yield decode(raw)
                return
            except (grpc.aio.AioRpcError, asyncio.CancelledError, grpc.aio.UsageError) as end:
                problem = self._explained(path, end, used, pump)
            finally:
                try:
                    if pump is not None:
                        await pump.stop()
                finally:
                    leave(used)
            raise await self._diagnosed(problem, used, seconds)

        return invoke

    async def _diagnosed(
        self, problem: BaseException, used: Generation[grpc.aio.Channel], seconds: float
    ) -> BaseException:
        if self._doctor is not None and self._doctor.wanted(problem):
            assert isinstance(problem, CallError)
            problem.explain(await self._doctor.words_async(used.identity, problem, seconds))
        return problem

    def _explained(
        self,
        path: str,
        end: BaseException,
        used: Generation[grpc.aio.Channel],
        pump: Pump[Any] | None = None,
    ) -> BaseException:
        """What the caller is to see of the way a call ended."""
        if isinstance(end, asyncio.CancelledError) and _cancelling():
            return end
        if pump is not None and pump.error is not None:
            return pump.error
        if isinstance(end, grpc.aio.AioRpcError):
            return failure(path, end.code(), end.details() or "", end.trailing_metadata() or ())
        if self._closed:
            return closed(path)
        return cut(path) if used.cut else end


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
