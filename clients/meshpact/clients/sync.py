"""The channel of threaded programs; the same calls and errors as `meshpact.clients.aio`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, cast

import grpc

from meshpact.certs.credentials import channel_credentials
from meshpact.certs.credentials import channel_options as identity_options
from meshpact.certs.identity import FixedSource, Identity, IdentitySource
from meshpact.certs.spiffe import SpiffeId
from meshpact.clients.connections_sync import ConnectionsSync
from meshpact.clients.core import decoder, preparation
from meshpact.clients.diagnosis import Doctor
from meshpact.clients.errors import CallError, closed, cut, failure, not_ready
from meshpact.clients.exchangewait import Exchanging
from meshpact.clients.following import DEFAULT_ROTATION, Rotation
from meshpact.clients.forwarding import ALONE, Forwarding
from meshpact.clients.generations import Generation
from meshpact.clients.options import channel_options
from meshpact.interceptors.call import MetadataPairs
from meshpact.interceptors.spec import MethodSpec, Req, Res, ServiceSpec

UnaryUnarySync = Callable[[Req, float | None, MetadataPairs, str], Res]
UnaryStreamSync = Callable[[Req, float | None, MetadataPairs, str], Iterator[Res]]
StreamUnarySync = Callable[[Iterable[Req], float | None, MetadataPairs, str], Res]
StreamStreamSync = Callable[[Iterable[Req], float | None, MetadataPairs, str], Iterator[Res]]


class ChannelSync:
    """Calls to one workload, over mTLS, as one workload; safe to share between threads.

    The arguments are those of `meshpact.clients.Channel`. Requests of a stream are taken from
    their iterable in a thread of grpc's: an iterable that waits for ever keeps that thread.
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

        def make(identity: Identity) -> grpc.Channel:
            credentials = channel_credentials(FixedSource(identity), callee)
            return grpc.secure_channel(target, credentials, options=arguments)

        first = identity.current()
        self._begin(
            target,
            ConnectionsSync(make(first), first, rotation.alive),
            Doctor(target, callee),
        )
        self._connections.follow(identity, callee, make, rotation)

    @classmethod
    def over(cls, channel: grpc.Channel, target: str = "") -> ChannelSync:
        """Wraps a channel of grpc that is there already, with whatever security it has.

        It is closed with this one. `target` is for error messages.
        """
        made = cls.__new__(cls)
        made._begin(target, ConnectionsSync(channel, None, 1))
        return made

    def _begin(
        self, target: str, connections: ConnectionsSync, doctor: Doctor | None = None
    ) -> None:
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

    def wait_ready(self, timeout: float) -> None:
        """Connects, in at most `timeout` seconds; CallError (UNAVAILABLE) when it cannot."""
        if not self._connections.ready(timeout):
            why = "" if self._doctor is None else self._doctor.words(self.identity)
            raise not_ready(self._target, timeout, why)

    def close(self) -> None:
        """Ends the calls that run, and the channel. Twice does no harm."""
        self._closed = True
        self._connections.close()

    def __enter__(self) -> ChannelSync:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def unary_unary(self, spec: MethodSpec[Req, Res]) -> UnaryUnarySync[Req, Res]:
        """The callable behind a method with one request and one response."""
        place = self._place("unary_unary", spec.path)
        enter, leave = self._enter, self._leave
        prepare, decode, path = preparation(spec, self._forwarding), decoder(spec), spec.path

        def invoke(request: Req, asked: float | None, metadata: MetadataPairs, token: str) -> Res:
            try:
                seconds, sent = prepare(asked, metadata, token)
            except Exchanging as wanted:
                seconds, sent = wanted.wait()
            raw_request = request.SerializeToString()
            used = enter()
            try:
                multi: grpc.UnaryUnaryMultiCallable[bytes, bytes] = used.methods[place]
                raw = multi(raw_request, timeout=seconds, metadata=sent)
            except (grpc.RpcError, ValueError) as end:
                problem = self._explained(path, end, used)
            else:
                return decode(raw)
            finally:
                leave(used)
            raise self._diagnosed(problem, used, seconds)

        return invoke

    def unary_stream(self, spec: MethodSpec[Req, Res]) -> UnaryStreamSync[Req, Res]:
        """The callable behind a method that answers with a stream.

        The call is made when the first response is asked for, and cancelled when the iterator is
        closed or dropped before its end.
        """
        place = self._place("unary_stream", spec.path)
        enter, leave = self._enter, self._leave
        prepare, decode, path = preparation(spec, self._forwarding), decoder(spec), spec.path

        def invoke(
            request: Req, asked: float | None, metadata: MetadataPairs, token: str
        ) -> Generator[Res, None, None]:
            try:
                seconds, sent = prepare(asked, metadata, token)
            except Exchanging as wanted:
                seconds, sent = wanted.wait()
            raw_request = request.SerializeToString()
            call = None
            used = enter()
            try:
                multi: grpc.UnaryStreamMultiCallable[bytes, bytes] = used.methods[place]
                call = multi(raw_request, timeout=seconds, metadata=sent)
                for raw in call:
                    yield decode(raw)
                return
            except (grpc.RpcError, ValueError) as end:
                problem = self._explained(path, end, used)
            finally:
                if call is not None:
                    call.cancel()
                leave(used)
            raise self._diagnosed(problem, used, seconds)

        return invoke

    def stream_unary(self, spec: MethodSpec[Req, Res]) -> StreamUnarySync[Req, Res]:
        """The callable behind a method that takes a stream.

        An exception of the iterable of requests cancels the call and is raised again here.
        """
        place = self._place("stream_unary", spec.path)
        enter, leave = self._enter, self._leave
        prepare, decode, path = preparation(spec, self._forwarding), decoder(spec), spec.path

        def invoke(
            requests: Iterable[Req], asked: float | None, metadata: MetadataPairs, token: str
        ) -> Res:
            try:
                seconds, sent = prepare(asked, metadata, token)
            except Exchanging as wanted:
                seconds, sent = wanted.wait()
            feed = Feed(requests)
            used = enter()
            try:
                multi: grpc.StreamUnaryMultiCallable[bytes, bytes] = used.methods[place]
                raw = multi(iter(feed), timeout=seconds, metadata=sent)
            except (grpc.RpcError, ValueError) as end:
                problem = self._explained(path, end, used, feed)
            else:
                return decode(raw)
            finally:
                leave(used)
            raise self._diagnosed(problem, used, seconds)

        return invoke

    def stream_stream(self, spec: MethodSpec[Req, Res]) -> StreamStreamSync[Req, Res]:
        """The callable behind a method with a stream each way; see the two above."""
        place = self._place("stream_stream", spec.path)
        enter, leave = self._enter, self._leave
        prepare, decode, path = preparation(spec, self._forwarding), decoder(spec), spec.path

        def invoke(
            requests: Iterable[Req], asked: float | None, metadata: MetadataPairs, token: str
        ) -> Generator[Res, None, None]:
            try:
                seconds, sent = prepare(asked, metadata, token)
            except Exchanging as wanted:
                seconds, sent = wanted.wait()
            feed = Feed(requests)
            call = None
            used = enter()
            try:
                multi: grpc.StreamStreamMultiCallable[bytes, bytes] = used.methods[place]
                call = multi(iter(feed), timeout=seconds, metadata=sent)
                for raw in call:
                    yield decode(raw)
                return
            except (grpc.RpcError, ValueError) as end:
                problem = self._explained(path, end, used, feed)
            finally:
                if call is not None:
                    call.cancel()
                leave(used)
            raise self._diagnosed(problem, used, seconds)

        return invoke

    def _diagnosed(
        self, problem: Exception, used: Generation[grpc.Channel], seconds: float
    ) -> Exception:
        if self._doctor is not None and self._doctor.wanted(problem):
            assert isinstance(problem, CallError)
            problem.explain(self._doctor.words(used.identity, problem, seconds))
        return problem

    def _explained(
        self,
        path: str,
        end: grpc.RpcError | ValueError,
        used: Generation[grpc.Channel],
        feed: Feed[Any] | None = None,
    ) -> Exception:
        """What the caller is to see of the way a call ended."""
        if feed is not None and feed.error is not None:
            return feed.error
        if self._closed:
            return closed(path)
        if used.cut:
            return cut(path)
        if isinstance(end, grpc.Call):
            trailing = cast(Iterable[tuple[str, str | bytes]], end.trailing_metadata() or ())
            return failure(path, end.code(), end.details() or "", trailing)
        return end


class Feed(Generic[Req]):
    """Requests in wire form; keeps the exception of their iterable, which grpc would swallow."""

    def __init__(self, requests: Iterable[Req]) -> None:
        self.error: Exception | None = None
        self._requests = requests

    def __iter__(self) -> Iterator[bytes]:
        try:
            for request in self._requests:
                yield request.SerializeToString()
        except Exception as error:
            self.error = error
            raise
