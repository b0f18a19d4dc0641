"""Calls of all shapes that never pause, from clients of both kinds to servers of both kinds, while
identities change under them; and the count of what failed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Final

from demo.v1 import demo_pb2
from demo.v1.demo_mesh import DEMO_SERVICE, DemoServiceClient, DemoServiceClientSync
from demoservice import Demo, DemoSync
from meshpact.clients import Channel, ChannelSync
from meshpact.interceptors.call import Call
from meshpact.interceptors.identity import Peers
from meshpact.testing.hosting import Kind, Workbench
from meshpact.testing.loopthread import LoopThread
from rotation.domain import Domain, until

KINDS: Final[tuple[Kind, ...]] = ("aio", "sync")
PACE: Final = 0.02
"""Seconds between two messages of a stream."""
PAUSE: Final = 0.002
"""Seconds between two unary calls of one loop."""


class Steady(Demo):
    """Count takes its time."""

    async def count(
        self, request: demo_pb2.CountRequest, call: Call, /
    ) -> AsyncIterator[demo_pb2.CountResponse]:
        for number in range(1, request.to + 1):
            await asyncio.sleep(PACE)
            yield demo_pb2.CountResponse(number=number)


class SteadySync(DemoSync):
    """The same on threads."""

    def count(
        self, request: demo_pb2.CountRequest, call: Call, /
    ) -> Iterator[demo_pb2.CountResponse]:
        for number in range(1, request.to + 1):
            time.sleep(PACE)
            yield demo_pb2.CountResponse(number=number)


@dataclass
class Tally:
    """What became of the calls. Keys: "aio client, sync server, Chat"."""

    ended: Counter[str] = field(default_factory=Counter[str])
    spanning: Counter[str] = field(default_factory=Counter[str])
    """Calls that went on while an identity changed."""
    failures: list[str] = field(default_factory=list[str])
    changes: int = 0
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def call(self, key: str) -> Generator[None]:
        """Counts one call: whatever is raised in it is a failure."""
        begun = self.changes
        try:
            yield
        except Exception as error:
            with self.lock:
                self.failures.append(f"{key}: {type(error).__name__}: {error}")
        with self.lock:
            self.ended[key] += 1
            self.spanning[key] += self.changes > begun


class Load:
    """Runs while the context lasts, streams of `length` messages among it."""

    def __init__(self, bench: Workbench, domain: Domain, length: int = 50) -> None:
        self.tally = Tally()
        self.channels: list[Channel | ChannelSync] = []
        self._bench = bench
        self._domain = domain
        self._length = length
        self._stack = contextlib.ExitStack()
        self._threads: list[threading.Thread] = []
        self._tasks: list[asyncio.Task[None]] = []

    def __enter__(self) -> Load:
        bench, domain, stack = self._bench, self._domain, self._stack
        bench.roles.set({str(domain.id_of("caller")): frozenset({"demo.caller"})})
        self._loop = stack.enter_context(LoopThread())
        for kind in KINDS:
            source = domain.source("server")
            guard = bench.guard(peers=Peers(source))
            made = (lambda: [Steady()]) if kind == "aio" else (lambda: [SteadySync()])
            port = stack.enter_context(bench.serving(kind, made, guard=guard, identity=source))
            self._loop.run(self._begin(f"127.0.0.1:{port}", kind))
            self._begin_sync(f"127.0.0.1:{port}", kind)
        self.quiet("the first calls", streams=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.tally.stopped = True
        for thread in self._threads:
            thread.join(60)
        self._loop.run(self._end(), 60)
        until(lambda: all(each.connections == 1 for each in self.channels), "old ones closed")
        for channel in self.channels:
            if isinstance(channel, ChannelSync):
                channel.close()
            else:
                self._loop.run(channel.close())
        self._stack.close()

    def change(self, how: Callable[[], None], *, streams: bool = False) -> None:
        """Changes identities and returns when all channels follow and calls have ended since.

        Those calls are unary ones; with `streams`, calls of all shapes.
        """
        source = self._domain.source("caller")
        how()
        with self.tally.lock:
            self.tally.changes += 1
        until(
            lambda: all(each.identity is source.current() for each in self.channels),
            "all channels use the new identity",
        )
        self.quiet("calls go on", streams=streams)

    def quiet(self, what: str, *, streams: bool) -> None:
        """Returns when each pair of client and server has had answers from now on."""
        shapes = ("Echo", "Count", "Sum", "Chat") if streams else ("Echo",)
        keys = [
            f"{one} client, {two} server, {shape}"
            for one in KINDS
            for two in KINDS
            for shape in shapes
        ]
        before = dict(self.tally.ended)
        until(lambda: all(self.tally.ended[key] > before.get(key, 0) for key in keys), what)

    async def _begin(self, address: str, server: Kind) -> None:
        channel = Channel(
            address,
            identity=self._domain.source("caller"),
            callee=self._domain.id_of("server"),
            services=[DEMO_SERVICE],
        )
        self.channels.append(channel)
        client = DemoServiceClient(channel)
        for work in (self._echo, self._count, self._sum, self._chat):
            self._tasks.append(asyncio.create_task(work(client, f"aio client, {server} server")))

    async def _end(self) -> None:
        await asyncio.gather(*self._tasks)

    async def _echo(self, client: DemoServiceClient, who: str) -> None:
        while not self.tally.stopped:
            with self.tally.call(f"{who}, Echo"):
                assert (await client.echo(demo_pb2.EchoRequest(text="a"))).text == "a"
            await asyncio.sleep(PAUSE)

    async def _count(self, client: DemoServiceClient, who: str) -> None:
        while not self.tally.stopped:
            with self.tally.call(f"{who}, Count"):
                found = [r.number async for r in client.count(self._how_far())]
                assert found == list(range(1, self._length + 1))

    async def _sum(self, client: DemoServiceClient, who: str) -> None:
        while not self.tally.stopped:
            with self.tally.call(f"{who}, Sum"):
                assert (await client.sum(self._numbers())).count == self._length

    async def _chat(self, client: DemoServiceClient, who: str) -> None:
        while not self.tally.stopped:
            with self.tally.call(f"{who}, Chat"):
                found = [r.text async for r in client.chat(self._texts())]
                assert found == [str(n) for n in range(self._length)]

    async def _numbers(self) -> AsyncIterator[demo_pb2.SumRequest]:
        for number in range(self._length):
            await asyncio.sleep(PACE)
            yield demo_pb2.SumRequest(number=number)

    async def _texts(self) -> AsyncIterator[demo_pb2.ChatRequest]:
        for number in range(self._length):
            await asyncio.sleep(PACE)
            yield demo_pb2.ChatRequest(text=str(number))

    def _begin_sync(self, address: str, server: Kind) -> None:
        channel = ChannelSync(
            address,
            identity=self._domain.source("caller"),
            callee=self._domain.id_of("server"),
            services=[DEMO_SERVICE],
        )
        self.channels.append(channel)
        client = DemoServiceClientSync(channel)
        for work in (self._echo_sync, self._count_sync, self._sum_sync, self._chat_sync):
            thread = threading.Thread(target=work, args=(client, f"sync client, {server} server"))
            thread.start()
            self._threads.append(thread)

    def _echo_sync(self, client: DemoServiceClientSync, who: str) -> None:
        while not self.tally.stopped:
            with self.tally.call(f"{who}, Echo"):
                assert client.echo(demo_pb2.EchoRequest(text="a")).text == "a"
            time.sleep(PAUSE)

    def _count_sync(self, client: DemoServiceClientSync, who: str) -> None:
        while not self.tally.stopped:
            with self.tally.call(f"{who}, Count"):
                found = [r.number for r in client.count(self._how_far())]
                assert found == list(range(1, self._length + 1))

    def _sum_sync(self, client: DemoServiceClientSync, who: str) -> None:
        while not self.tally.stopped:
            with self.tally.call(f"{who}, Sum"):
                assert client.sum(self._numbers_sync()).count == self._length

    def _chat_sync(self, client: DemoServiceClientSync, who: str) -> None:
        while not self.tally.stopped:
            with self.tally.call(f"{who}, Chat"):
                found = [r.text for r in client.chat(self._texts_sync())]
                assert found == [str(n) for n in range(self._length)]

    def _numbers_sync(self) -> Iterator[demo_pb2.SumRequest]:
        for number in range(self._length):
            time.sleep(PACE)
            yield demo_pb2.SumRequest(number=number)

    def _texts_sync(self) -> Iterator[demo_pb2.ChatRequest]:
        for number in range(self._length):
            time.sleep(PACE)
            yield demo_pb2.ChatRequest(text=str(number))

    def _how_far(self) -> demo_pb2.CountRequest:
        return demo_pb2.CountRequest(to=self._length)
