"""The channel of threaded programs; the same calls and errors as `meshpact.clients.aio`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, cast

import grpc

from meshpact.certs.credentials import channel_credentials
from meshpact.certs.credentials import channel_options as identity_options
from meshpact.certs.source import IdentitySource
from meshpact.certs.spiffe import SpiffeId
from meshpact.clients.core import decoder, preparation
from meshpact.clients.errors import closed, failure, not_ready
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

    def __init__(
        self,
        target: str,
        *,
        identity: IdentitySource,
        callee: SpiffeId,
        services: Iterable[ServiceSpec] = (),
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self._target = target
        self._grpc = grpc.secure_channel(
            target,
            channel_credentials(identity),
            options=(
                *identity_options(callee),
                *channel_options(tuple(services)),
                *options,
            ),
        )
        self._closed = False

    @classmethod
    def over(cls, channel: grpc.Channel, target: str = "") -> ChannelSync:
        """Wraps a channel of grpc that is there already, with whatever security it has.

        It is closed with this one. `target` is for error messages.
        """
        made = cls.__new__(cls)
        made._target = target
        made._grpc = channel
        made._closed = False
        return made

    def wait_ready(self, timeout: float) -> None:
        """Connects, in at most `timeout` seconds; CallError (UNAVAILABLE) when it cannot."""
        ready = grpc.channel_ready_future(self._grpc)
        try:
            ready.result(timeout)
        except grpc.FutureTimeoutError:
            ready.cancel()
            raise not_ready(self._target, timeout) from None

    def close(self) -> None:
        """Ends the calls that run, and the channel. Twice does no harm."""
        self._closed = True
        self._grpc.close()

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
        multi: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._grpc.unary_unary(spec.path)
        prepare, decode, path = preparation(spec), decoder(spec), spec.path

        def invoke(request: Req, asked: float | None, metadata: MetadataPairs, token: str) -> Res:
            seconds, sent = prepare(asked, metadata, token)
            try:
                raw = multi(request.SerializeToString(), timeout=seconds, metadata=sent)
            except (grpc.RpcError, ValueError) as end:
                problem = self._explained(path, end)
            else:
                return decode(raw)
            raise problem

        return invoke

    def unary_stream(self, spec: MethodSpec[Req, Res]) -> UnaryStreamSync[Req, Res]:
        """The callable behind a method that answers with a stream.

        The call is made when the first response is asked for, and cancelled when the iterator is
        closed or dropped before its end.
        """
        multi: grpc.UnaryStreamMultiCallable[bytes, bytes] = self._grpc.unary_stream(spec.path)
        prepare, decode, path = preparation(spec), decoder(spec), spec.path

        def invoke(
            request: Req, asked: float | None, metadata: MetadataPairs, token: str
        ) -> Generator[Res, None, None]:
            seconds, sent = prepare(asked, metadata, token)
            call = None
            try:
                call = multi(request.SerializeToString(), timeout=seconds, metadata=sent)
                for raw in call:
                    yield decode(raw)
                return
            except (grpc.RpcError, ValueError) as end:
                problem = self._explained(path, end)
            finally:
                if call is not None:
                    call.cancel()
            raise problem

        return invoke

    def stream_unary(self, spec: MethodSpec[Req, Res]) -> StreamUnarySync[Req, Res]:
        """The callable behind a method that takes a stream.

        An exception of the iterable of requests cancels the call and is raised again here.
        """
        multi: grpc.StreamUnaryMultiCallable[bytes, bytes] = self._grpc.stream_unary(spec.path)
        prepare, decode, path = preparation(spec), decoder(spec), spec.path

        def invoke(
            requests: Iterable[Req], asked: float | None, metadata: MetadataPairs, token: str
        ) -> Res:
            seconds, sent = prepare(asked, metadata, token)
            feed = Feed(requests)
            try:
                raw = multi(iter(feed), timeout=seconds, metadata=sent)
            except (grpc.RpcError, ValueError) as end:
                problem = self._explained(path, end, feed)
            else:
                return decode(raw)
            raise problem

        return invoke

    def stream_stream(self, spec: MethodSpec[Req, Res]) -> StreamStreamSync[Req, Res]:
        """The callable behind a method with a stream each way; see the two above."""
        multi: grpc.StreamStreamMultiCallable[bytes, bytes] = self._grpc.stream_stream(spec.path)
        prepare, decode, path = preparation(spec), decoder(spec), spec.path

        def invoke(
            requests: Iterable[Req], asked: float | None, metadata: MetadataPairs, token: str
        ) -> Generator[Res, None, None]:
            seconds, sent = prepare(asked, metadata, token)
            feed = Feed(requests)
            call = None
            try:
                call = multi(iter(feed), timeout=seconds, metadata=sent)
                for raw in call:
                    yield decode(raw)
                return
            except (grpc.RpcError, ValueError) as end:
                problem = self._explained(path, end, feed)
            finally:
                if call is not None:
                    call.cancel()
            raise problem

        return invoke

    def _explained(
        self, path: str, end: grpc.RpcError | ValueError, feed: Feed[Any] | None = None
    ) -> Exception:
        """What the caller is to see of the way a call ended."""
        if feed is not None and feed.error is not None:
            return feed.error
        if self._closed:
            return closed(path)
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
