"""When a channel goes over to its workload's next identity: the decisions, and no waiting.

An adapter runs `Following.steps` and sleeps as it is told; `Wires` is what it does to channels.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

import grpc

from meshpact.certs.bundle import TrustBundle
from meshpact.certs.errors import CertsError
from meshpact.certs.identity import Identity, IdentitySource
from meshpact.certs.spiffe import SpiffeId
from meshpact.certs.verify import verify_peer
from meshpact.clients.generations import Generation, Generations

TURN: Final = 0.02
"""Seconds between two looks at a connection that comes up."""
SLOW_TURN: Final = 0.5
"""The same for one that takes its time."""
LAST_PART: Final = 0.25
"""Of an identity's time: in it the next one is taken whether it connects or not."""

READY: Final = grpc.ChannelConnectivity.READY

_log: Final = logging.getLogger(__name__)

C = TypeVar("C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """Bounds of a change of identity on a channel; times in seconds."""

    connect: float = 5.0
    """How long the new connection may take before that is worth a warning."""
    drain: float = 3600.0
    """How long calls on a replaced connection may go on. Servers of the mesh end connections at
    their own maximum age, which is less."""
    alive: int = 8
    """Connections at most, the current one and those that drain. Beyond that a new identity waits
    until one has drained, as long as the current one is good."""

    def __post_init__(self) -> None:
        if self.alive < 2 or self.connect < 0 or self.drain < 0:
            raise ValueError(
                f"found {self}: allowed are alive from 2 on, and connect and drain from 0 on"
            )


DEFAULT_ROTATION: Final = Rotation()


class Wires(Protocol[C]):
    """What an adapter does to channels; nothing here waits."""

    def open(self, identity: Identity) -> C:
        """A new channel, not yet connected."""
        ...

    def state(self, channel: C, *, connect: bool) -> grpc.ChannelConnectivity | None:
        """How its connection stands, None while that is not known; `connect` asks for one."""
        ...

    def replace(self, fresh: Generation[C]) -> None:
        """Gives new calls to `fresh` and drains the one before it."""
        ...

    def discard(self, channel: C) -> None:
        """Closes a channel and ends what runs on it."""
        ...


class Following(Generic[C]):
    """Follows a source for one channel. `wall` tells the time in seconds since the epoch."""

    def __init__(
        self,
        source: IdentitySource,
        callee: SpiffeId,
        generations: Generations[C],
        wires: Wires[C],
        rotation: Rotation,
        *,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._domain = callee.trust_domain.name
        self._generations = generations
        self._wires = wires
        self._rotation = rotation
        self._wall = wall
        self._clock = clock
        self._lock = threading.Lock()
        self._news = False
        self._runs = False
        self._closed = False

    def told(self) -> bool:
        """The source has changed; True when `steps` must be run now, by whoever is asked."""
        with self._lock:
            self._news = True
            if self._runs or self._closed:
                return False
            self._runs = True
            return True

    def close(self) -> None:
        """Ends `steps` at its next turn, and for good."""
        with self._lock:
            self._closed = True

    def steps(self) -> Generator[float]:
        """Goes over to what the source has; yields how many seconds to wait, time and again."""
        while self._more():
            try:
                yield from self._go_over()
            except CertsError as error:
                _log.error("the new identity cannot be used, the old one stays: %s", error)
            except Exception:
                _log.exception("the new identity cannot be used, the old one stays")

    def _go_over(self) -> Generator[float]:
        identity = self._source.current()
        if self._known(identity):
            return
        channel = self._wires.open(identity)
        good = False
        try:
            yield from self._until_good(channel, identity)
            good = not self._outdated(identity)
        finally:
            if not good:
                self._wires.discard(channel)
        if good:
            for oldest in self._generations.make_room():
                self._wires.discard(oldest.channel)
            self._wires.replace(Generation(channel, identity, self._wall()))

    def _more(self) -> bool:
        with self._lock:
            self._runs = self._news and not self._closed
            self._news = False
            return self._runs

    def _outdated(self, identity: Identity) -> bool:
        return self._closed or (self._news and self._source.current() is not identity)

    def _known(self, identity: Identity) -> bool:
        """Whether it means the same TLS settings as the current generation has."""
        current = self._generations.current.identity
        return current is not None and (
            current is identity
            or (
                current.svid.chain_pem == identity.svid.chain_pem
                and current.svid.key_pem == identity.svid.key_pem
                and _same(current.bundles.get(self._domain), identity.bundles.get(self._domain))
            )
        )

    def _until_good(self, channel: C, identity: Identity) -> Generator[float]:
        """Waits until the channel is connected, or better than the one in use all the same."""
        begun = self._clock()
        limit = self._limit(identity)
        warned = False
        while not self._outdated(identity) and self._wall() < limit:
            state = self._wires.state(channel, connect=True)
            used = self._wires.state(self._generations.current.channel, connect=False)
            good = state is READY or used not in (READY, None)
            if good and self._generations.room:
                return
            late = self._clock() - begun >= self._rotation.connect
            if late and not warned:
                warned = True
                _log.warning(
                    "%s: %s; the connection with the old identity stays for now",
                    identity.svid.id,
                    "as many connections as may be still drain"
                    if good
                    else f"no connection with the new identity within {self._rotation.connect:g} s",
                )
            yield SLOW_TURN if late else TURN

    def _limit(self, identity: Identity) -> float:
        """When the current identity must be left: near its end, or now, when those who check it
        accept it no more."""
        current = self._generations.current
        now = self._wall()
        if current.identity is None:
            return now
        svid = current.identity.svid
        try:
            verify_peer(svid.chain_pem, svid.chain_pem, identity.bundles, now)
        except CertsError:
            return now
        return svid.not_after - (svid.not_after - current.made) * LAST_PART


class Told(Protocol):
    """Whoever wants to know of a change."""

    def told(self) -> None:
        """The source has changed; any thread may say so."""
        ...


def subscribed(source: IdentitySource, who: Told) -> Callable[[], None]:
    """Subscribes without keeping alive what nobody else uses: a channel that was never closed."""
    there = weakref.ref(who)

    def told() -> None:
        found = there()
        if found is None:
            unsubscribe()
        else:
            found.told()

    unsubscribe = source.subscribe(told)
    return unsubscribe


def _same(one: TrustBundle | None, other: TrustBundle | None) -> bool:
    return one is other or (one is not None and other is not None and one.pem == other.pem)
