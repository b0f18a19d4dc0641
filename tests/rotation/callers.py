"""Channels of both kinds behind one set of blocking methods, so that each test is written once."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from demo.v1 import demo_pb2
from demo.v1.demo_mesh import DEMO_SERVICE, DemoServiceClient, DemoServiceClientSync
from meshpact.certs.identity import IdentitySource
from meshpact.certs.spiffe import SpiffeId
from meshpact.clients import Channel, ChannelSync, Rotation
from meshpact.testing.loopthread import LoopThread

HELLO = demo_pb2.EchoRequest(text="hello")


class Talk(Protocol):
    """A stream each way that lasts as long as the test wants."""

    def say(self, text: str) -> str:
        """Sends one message; the answer."""
        ...

    def end(self) -> list[str]:
        """Says no more; the answers that still come."""
        ...


class Caller(Protocol):
    """A channel and a client on it."""

    @property
    def channel(self) -> Channel | ChannelSync: ...

    def echo(self) -> str:
        """One call; what the server says."""
        ...

    def count(self) -> None:
        """One call that is answered by a stream."""
        ...

    def sum(self) -> None:
        """One call that sends a stream."""
        ...

    def talk(self) -> Talk:
        """Begins a stream."""
        ...

    def wait_ready(self, seconds: float) -> None: ...

    def close(self) -> None: ...


class AioCaller:
    """On a loop of another thread."""

    def __init__(
        self,
        loop: LoopThread,
        address: str,
        source: IdentitySource,
        callee: SpiffeId,
        rotation: Rotation,
    ) -> None:
        self._loop = loop

        async def make() -> Channel:
            return Channel(
                address,
                identity=source,
                callee=callee,
                services=[DEMO_SERVICE],
                rotation=rotation,
            )

        self.channel = loop.run(make())
        self._client = DemoServiceClient(self.channel)

    def echo(self) -> str:
        return self._loop.run(self._client.echo(HELLO)).text

    def count(self) -> None:
        async def count() -> None:
            async for _ in self._client.count(demo_pb2.CountRequest(to=2)):
                pass

        self._loop.run(count())

    def sum(self) -> None:
        async def one() -> AsyncIterator[demo_pb2.SumRequest]:
            yield demo_pb2.SumRequest(number=1)

        self._loop.run(self._client.sum(one()))

    def talk(self) -> Talk:
        return _AioTalk(self._loop, self._client)

    def wait_ready(self, seconds: float) -> None:
        self._loop.run(self.channel.wait_ready(seconds), seconds + 30)

    def close(self) -> None:
        self._loop.run(self.channel.close())


class _AioTalk:
    def __init__(self, loop: LoopThread, client: DemoServiceClient) -> None:
        self._loop = loop
        self._texts: asyncio.Queue[str | None] = asyncio.Queue()
        self._answers = client.chat(self._requests())

    async def _requests(self) -> AsyncIterator[demo_pb2.ChatRequest]:
        while (text := await self._texts.get()) is not None:
            yield demo_pb2.ChatRequest(text=text)

    def say(self, text: str) -> str:
        async def say() -> str:
            self._texts.put_nowait(text)
            return (await anext(self._answers)).text

        return self._loop.run(say())

    def end(self) -> list[str]:
        async def end() -> list[str]:
            self._texts.put_nowait(None)
            return [each.text async for each in self._answers]

        return self._loop.run(end())


class SyncCaller:
    """On the threads that call."""

    def __init__(
        self, address: str, source: IdentitySource, callee: SpiffeId, rotation: Rotation
    ) -> None:
        self.channel = ChannelSync(
            address, identity=source, callee=callee, services=[DEMO_SERVICE], rotation=rotation
        )
        self._client = DemoServiceClientSync(self.channel)

    def echo(self) -> str:
        return self._client.echo(HELLO).text

    def count(self) -> None:
        for _ in self._client.count(demo_pb2.CountRequest(to=2)):
            pass

    def sum(self) -> None:
        self._client.sum([demo_pb2.SumRequest(number=1)])

    def talk(self) -> Talk:
        return _SyncTalk(self._client)

    def wait_ready(self, seconds: float) -> None:
        self.channel.wait_ready(seconds)

    def close(self) -> None:
        self.channel.close()


class _SyncTalk:
    def __init__(self, client: DemoServiceClientSync) -> None:
        self._texts: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._answers = client.chat(self._requests())

    def _requests(self) -> Iterator[demo_pb2.ChatRequest]:
        while (text := self._texts.get()) is not None:
            yield demo_pb2.ChatRequest(text=text)

    def say(self, text: str) -> str:
        self._texts.put(text)
        return next(self._answers).text

    def end(self) -> list[str]:
        self._texts.put(None)
        return [each.text for each in self._answers]
