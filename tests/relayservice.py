"""The services of demo/v1/relay.proto, aio and sync: a ward, and a relay that calls it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from demo.v1 import relay_mesh
from demo.v1 import relay_pb2 as pb
from meshpact.clients import CallError, Channel, ChannelSync
from meshpact.interceptors.call import Call
from meshpact.interceptors.spec import Req

SHAPES = ("Ask", "Watch", "Collect", "Talk")
"""The ward's methods that demand an end user, one of each shape."""


def seen(call: Call) -> pb.Seen:
    """What a handler sees of the end user."""
    user = call.caller.user
    return pb.Seen(
        user="" if user is None else user.subject,
        audience=[] if user is None else sorted(user.audience),
        token_sent="authorization" in call.metadata,
        workload=call.caller.workload,
    )


class Ward(relay_mesh.WardServiceBase):
    """aio. `calls` are the methods that were called."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def _seen(self, call: Call) -> pb.Seen:
        self.calls.append(call.info.method.rpartition("/")[2])
        return seen(call)

    async def plain(self, request: pb.PlainRequest, call: Call, /) -> pb.PlainResponse:
        return pb.PlainResponse(seen=self._seen(call))

    async def greet(self, request: pb.GreetRequest, call: Call, /) -> pb.GreetResponse:
        return pb.GreetResponse(seen=self._seen(call))

    async def ask(self, request: pb.AskRequest, call: Call, /) -> pb.AskResponse:
        return pb.AskResponse(seen=self._seen(call))

    async def watch(
        self, request: pb.WatchRequest, call: Call, /
    ) -> AsyncIterator[pb.WatchResponse]:
        yield pb.WatchResponse(seen=self._seen(call))

    async def collect(
        self, requests: AsyncIterator[pb.CollectRequest], call: Call, /
    ) -> pb.CollectResponse:
        async for _ in requests:
            pass
        return pb.CollectResponse(seen=self._seen(call))

    async def talk(
        self, requests: AsyncIterator[pb.TalkRequest], call: Call, /
    ) -> AsyncIterator[pb.TalkResponse]:
        async for _ in requests:
            yield pb.TalkResponse(seen=self._seen(call))

    async def confide(self, request: pb.ConfideRequest, call: Call, /) -> pb.ConfideResponse:
        return pb.ConfideResponse(seen=self._seen(call))

    async def seal(self, request: pb.SealRequest, call: Call, /) -> pb.SealResponse:
        return pb.SealResponse(seen=self._seen(call))


class WardSync(relay_mesh.WardServiceBaseSync):
    """For threads; the same answers."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def _seen(self, call: Call) -> pb.Seen:
        self.calls.append(call.info.method.rpartition("/")[2])
        return seen(call)

    def plain(self, request: pb.PlainRequest, call: Call, /) -> pb.PlainResponse:
        return pb.PlainResponse(seen=self._seen(call))

    def greet(self, request: pb.GreetRequest, call: Call, /) -> pb.GreetResponse:
        return pb.GreetResponse(seen=self._seen(call))

    def ask(self, request: pb.AskRequest, call: Call, /) -> pb.AskResponse:
        return pb.AskResponse(seen=self._seen(call))

    def watch(self, request: pb.WatchRequest, call: Call, /) -> Iterator[pb.WatchResponse]:
        yield pb.WatchResponse(seen=self._seen(call))

    def collect(self, requests: Iterator[pb.CollectRequest], call: Call, /) -> pb.CollectResponse:
        for _ in requests:
            pass
        return pb.CollectResponse(seen=self._seen(call))

    def talk(self, requests: Iterator[pb.TalkRequest], call: Call, /) -> Iterator[pb.TalkResponse]:
        for _ in requests:
            yield pb.TalkResponse(seen=self._seen(call))

    def confide(self, request: pb.ConfideRequest, call: Call, /) -> pb.ConfideResponse:
        return pb.ConfideResponse(seen=self._seen(call))

    def seal(self, request: pb.SealRequest, call: Call, /) -> pb.SealResponse:
        return pb.SealResponse(seen=self._seen(call))


class Relay(relay_mesh.RelayServiceBase):
    """aio. Calls the ward at the other end of the channel."""

    def __init__(self, channel: Channel) -> None:
        ward = relay_mesh.WardServiceClient(channel)

        async def one_seen(answers: AsyncIterator[pb.WatchResponse | pb.TalkResponse]) -> pb.Seen:
            (answer,) = [answer async for answer in answers]
            return answer.seen

        async def plain(token: str) -> pb.Seen:
            return (await ward.plain(pb.PlainRequest(), token=token)).seen

        async def greet(token: str) -> pb.Seen:
            return (await ward.greet(pb.GreetRequest(), token=token)).seen

        async def ask(token: str) -> pb.Seen:
            return (await ward.ask(pb.AskRequest(), token=token)).seen

        async def watch(token: str) -> pb.Seen:
            return await one_seen(ward.watch(pb.WatchRequest(), token=token))

        async def collect(token: str) -> pb.Seen:
            return (await ward.collect(_stream(pb.CollectRequest()), token=token)).seen

        async def talk(token: str) -> pb.Seen:
            return await one_seen(ward.talk(_stream(pb.TalkRequest()), token=token))

        async def confide(token: str) -> pb.Seen:
            return (await ward.confide(pb.ConfideRequest(), token=token)).seen

        async def seal(token: str) -> pb.Seen:
            return (await ward.seal(pb.SealRequest(), token=token)).seen

        async def by_metadata(token: str) -> pb.Seen:
            metadata = (("authorization", f"Bearer {token}"),)
            return (await ward.ask(pb.AskRequest(), metadata=metadata)).seen

        self._calls: dict[str, Callable[[str], Awaitable[pb.Seen]]] = {
            "Plain": plain,
            "Greet": greet,
            "Ask": ask,
            "Watch": watch,
            "Collect": collect,
            "Talk": talk,
            "Confide": confide,
            "Seal": seal,
            "by metadata": by_metadata,
        }

    async def relay(self, request: pb.RelayRequest, call: Call, /) -> pb.RelayResponse:
        if request.late:
            assert call.user is not None
            await asyncio.sleep(call.user.expires - time.time())
        try:
            return pb.RelayResponse(seen=await self._calls[request.method](request.token))
        except CallError as error:
            if request.raises:
                raise
            return _failed(error)

    async def relay_many(
        self, requests: AsyncIterator[pb.RelayManyRequest], call: Call, /
    ) -> AsyncIterator[pb.RelayManyResponse]:
        async for request in requests:
            yield pb.RelayManyResponse(relay=await self.relay(request.relay, call))


class RelaySync(relay_mesh.RelayServiceBaseSync):
    """For threads; the same."""

    def __init__(self, channel: ChannelSync) -> None:
        ward = relay_mesh.WardServiceClientSync(channel)
        self._calls: dict[str, Callable[[str], pb.Seen]] = {
            "Plain": lambda token: ward.plain(pb.PlainRequest(), token=token).seen,
            "Greet": lambda token: ward.greet(pb.GreetRequest(), token=token).seen,
            "Ask": lambda token: ward.ask(pb.AskRequest(), token=token).seen,
            "Watch": lambda token: next(ward.watch(pb.WatchRequest(), token=token)).seen,
            "Collect": lambda token: ward.collect([pb.CollectRequest()], token=token).seen,
            "Talk": lambda token: next(ward.talk([pb.TalkRequest()], token=token)).seen,
            "Confide": lambda token: ward.confide(pb.ConfideRequest(), token=token).seen,
            "Seal": lambda token: ward.seal(pb.SealRequest(), token=token).seen,
            "by metadata": lambda token: (
                ward.ask(pb.AskRequest(), metadata=(("authorization", f"Bearer {token}"),)).seen
            ),
        }

    def relay(self, request: pb.RelayRequest, call: Call, /) -> pb.RelayResponse:
        if request.late:
            assert call.user is not None
            time.sleep(max(0.0, call.user.expires - time.time()))
        try:
            return pb.RelayResponse(seen=self._calls[request.method](request.token))
        except CallError as error:
            if request.raises:
                raise
            return _failed(error)

    def relay_many(
        self, requests: Iterator[pb.RelayManyRequest], call: Call, /
    ) -> Iterator[pb.RelayManyResponse]:
        for request in requests:
            yield pb.RelayManyResponse(relay=self.relay(request.relay, call))


def _failed(error: CallError) -> pb.RelayResponse:
    return pb.RelayResponse(reason=error.reason or error.code.name, message=str(error))


async def _stream(request: Req) -> AsyncIterator[Req]:
    yield request
