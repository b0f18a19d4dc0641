"""The channels of grpc behind one Channel of asyncio: opened, counted, drained and closed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine

import grpc
import grpc.aio

from meshpact.certs.identity import Identity, IdentitySource
from meshpact.certs.spiffe import SpiffeId
from meshpact.clients.following import READY, SLOW_TURN, Following, Rotation, subscribed
from meshpact.clients.generations import Generation, Generations


class Connections:
    """Made with the first channel; `follow` makes it go over to each new identity of a source."""

    def __init__(self, first: grpc.aio.Channel, identity: Identity | None, most: int) -> None:
        self.generations = Generations(Generation(first, identity, time.time()), most)
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: Following[grpc.aio.Channel] | None = None
        self._unsubscribe: Callable[[], None] = _nothing

    def follow(
        self,
        source: IdentitySource,
        callee: SpiffeId,
        make: Callable[[Identity], grpc.aio.Channel],
        rotation: Rotation,
    ) -> None:
        """From now on, until `close`."""
        self._make = make
        self._drain = rotation.drain
        self._loop = asyncio.get_running_loop()
        self._following = Following(source, callee, self.generations, self, rotation)
        self._unsubscribe = subscribed(source, self)
        if source.current() is not self.generations.current.identity:
            self.told()

    def told(self) -> None:
        """The source has changed; any thread may say so."""
        with contextlib.suppress(RuntimeError):  # the loop is closed, and every channel with it
            self._loop.call_soon_threadsafe(self._start)

    async def ready(self) -> None:
        """Returns when the current channel is connected, whichever that is by then."""
        while True:
            used = self.generations.enter()
            try:
                state = used.channel.get_state(try_to_connect=True)
                if state is READY:
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(SLOW_TURN):
                        await used.channel.wait_for_state_change(state)
            finally:
                self.generations.leave(used)

    async def close(self, grace: float | None) -> None:
        """Ends the calls that still run after `grace` seconds, and all channels."""
        self._unsubscribe()
        if self._following is not None:
            self._following.close()
        alive = self.generations.alive
        await asyncio.gather(*(each.channel.close(grace) for each in alive))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def open(self, identity: Identity) -> grpc.aio.Channel:
        """As `Wires.open`."""
        return self._make(identity)

    def state(self, channel: grpc.aio.Channel, *, connect: bool) -> grpc.ChannelConnectivity:
        """As `Wires.state`."""
        return channel.get_state(try_to_connect=connect)

    def replace(self, fresh: Generation[grpc.aio.Channel]) -> None:
        """As `Wires.replace`."""
        empty = asyncio.Event()
        self._spawn(self._drained(self.generations.replace(fresh, empty.set), empty))

    def discard(self, channel: grpc.aio.Channel) -> None:
        """As `Wires.discard`."""
        self._spawn(channel.close())

    def _start(self) -> None:
        if self._following is not None and self._following.told():
            self._spawn(self._follow(self._following))

    async def _follow(self, following: Following[grpc.aio.Channel]) -> None:
        with contextlib.closing(following.steps()) as steps:
            for seconds in steps:
                await asyncio.sleep(seconds)

    async def _drained(self, old: Generation[grpc.aio.Channel], empty: asyncio.Event) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain):
                await empty.wait()
        if self.generations.remove(old):
            await old.channel.close()

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _nothing() -> None:
    """Nobody to unsubscribe from."""
