"""The channels of grpc behind one ChannelSync: opened, counted, drained and closed, on threads."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable

import grpc

from meshpact.certs.identity import Identity, IdentitySource
from meshpact.certs.spiffe import SpiffeId
from meshpact.clients.following import SLOW_TURN, Following, Rotation, subscribed
from meshpact.clients.generations import Generation, Generations


class ConnectionsSync:
    """As `meshpact.clients.connections.Connections`.

    Threads of its own run only while a connection is made for a new identity, and while calls on
    an old one go on.
    """

    def __init__(self, first: grpc.Channel, identity: Identity | None, most: int) -> None:
        self.generations = Generations(Generation(first, identity, time.time()), most)
        self._states = _States()
        self._closing = threading.Event()
        self._following: Following[grpc.Channel] | None = None
        self._unsubscribe: Callable[[], None] = _nothing

    def follow(
        self,
        source: IdentitySource,
        callee: SpiffeId,
        make: Callable[[Identity], grpc.Channel],
        rotation: Rotation,
    ) -> None:
        """From now on, until `close`."""
        self._make = make
        self._drain = rotation.drain
        self._following = Following(source, callee, self.generations, self, rotation)
        self._unsubscribe = subscribed(source, self)
        if source.current() is not self.generations.current.identity:
            self.told()

    def told(self) -> None:
        """The source has changed; any thread may say so."""
        if self._following is not None and self._following.told():
            _start(functools.partial(self._follow, self._following))

    def ready(self, timeout: float) -> bool:
        """Whether the current channel, whichever that is by then, connects in `timeout` seconds."""
        limit = time.monotonic() + timeout
        while True:
            left = limit - time.monotonic()
            used = self.generations.enter()
            connected = grpc.channel_ready_future(used.channel)
            try:
                connected.result(max(0.0, min(left, SLOW_TURN)))
            except grpc.FutureTimeoutError:
                connected.cancel()
                if left <= SLOW_TURN:
                    return False
            else:
                return True
            finally:
                self.generations.leave(used)

    def close(self) -> None:
        """Ends the calls that still run, and all channels."""
        self._unsubscribe()
        if self._following is not None:
            self._following.close()
        self._closing.set()
        for each in self.generations.alive:
            each.channel.close()
            if each.emptied is not None:
                each.emptied()

    def open(self, identity: Identity) -> grpc.Channel:
        """As `Wires.open`."""
        return self._make(identity)

    def state(self, channel: grpc.Channel, *, connect: bool) -> grpc.ChannelConnectivity | None:
        """As `Wires.state`."""
        return self._states.of(channel, connect=connect)

    def replace(self, fresh: Generation[grpc.Channel]) -> None:
        """As `Wires.replace`."""
        self._states.forget()
        empty = threading.Event()
        old = self.generations.replace(fresh, empty.set)
        if self._closing.is_set():
            fresh.channel.close()
        if empty.is_set():
            self._end(old)
        else:
            _start(functools.partial(self._drained, old, empty))

    def discard(self, channel: grpc.Channel) -> None:
        """As `Wires.discard`."""
        self._states.forget()
        channel.close()

    def _follow(self, following: Following[grpc.Channel]) -> None:
        with contextlib.closing(following.steps()) as steps:
            for seconds in steps:
                self._closing.wait(seconds)

    def _drained(self, old: Generation[grpc.Channel], empty: threading.Event) -> None:
        empty.wait(self._drain)
        self._end(old)

    def _end(self, old: Generation[grpc.Channel]) -> None:
        if self.generations.remove(old):
            old.channel.close()


class _States:
    """How channels stand, as grpc tells it on a thread of its own."""

    def __init__(self) -> None:
        self._known: dict[grpc.Channel, grpc.ChannelConnectivity | None] = {}
        self._listeners: dict[grpc.Channel, Callable[[grpc.ChannelConnectivity], None]] = {}

    def of(self, channel: grpc.Channel, *, connect: bool) -> grpc.ChannelConnectivity | None:
        if channel not in self._listeners:
            self._known[channel] = None
            self._listeners[channel] = functools.partial(self._known.__setitem__, channel)
            channel.subscribe(self._listeners[channel], try_to_connect=connect)
        return self._known[channel]

    def forget(self) -> None:
        for channel, listener in self._listeners.items():
            channel.unsubscribe(listener)
        self._listeners = {}
        self._known = {}


def _start(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="meshpact-rotation", daemon=True).start()


def _nothing() -> None:
    """Nobody to unsubscribe from."""
