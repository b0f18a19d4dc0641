"""Which connection a call goes over while identities change: the count of calls, and no IO.

grpc cannot give an open channel another certificate. So each identity has a generation of its own:
one channel, the methods on it, and the number of calls that run there. New calls go over the
current one; the ones before it drain.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

from meshpact.certs.identity import Identity

C = TypeVar("C")
Shape = Literal["unary_unary", "unary_stream", "stream_unary", "stream_stream"]


class Generation(Generic[C]):
    """A channel under one identity. `methods` are grpc's callables, at the places that
    `Generations.place` gave; `cut` says that calls on it were ended so that it could be closed."""

    __slots__ = ("channel", "cut", "emptied", "identity", "made", "methods", "running")

    def __init__(self, channel: C, identity: Identity | None, made: float) -> None:
        self.channel = channel
        self.identity = identity
        self.made = made
        """When it was made, in seconds since the epoch."""
        self.methods: list[Any] = []
        self.running = 0
        self.cut = False
        self.emptied: Callable[[], None] | None = None


class Generations(Generic[C]):
    """The current generation and those that drain, at most `most` together.

    Safe to use from several threads.
    """

    def __init__(self, first: Generation[C], most: int) -> None:
        self.current = first
        self._most = most
        self._draining: list[Generation[C]] = []
        self._places: dict[tuple[Shape, str], int] = {}
        self._lock = threading.Lock()

    @property
    def alive(self) -> list[Generation[C]]:
        """All that have a channel, the oldest first."""
        with self._lock:
            return [*self._draining, self.current]

    @property
    def room(self) -> bool:
        """Whether one more may be made."""
        return len(self._draining) + 1 < self._most

    def place(self, shape: Shape, path: str) -> int:
        """Where a method (`/package.Service/Method`) stands in `methods` of each generation."""
        with self._lock:
            known = len(self._places)
            place = self._places.setdefault((shape, path), known)
            if place == known:
                self.current.methods.append(_method(self.current.channel, shape, path))
            return place

    def enter(self) -> Generation[C]:
        """The generation for a call that begins now; `leave` it exactly once."""
        with self._lock:
            generation = self.current
            generation.running += 1
        return generation

    def leave(self, generation: Generation[C]) -> None:
        """A call is over. The last one of a generation that drains says so by `emptied`."""
        with self._lock:
            generation.running -= 1
            emptied = None if generation.running else generation.emptied
        if emptied is not None:
            emptied()

    def replace(self, fresh: Generation[C], emptied: Callable[[], None]) -> Generation[C]:
        """Gives new calls to `fresh`; the one before it drains, and is returned.

        `emptied` is called once, on any thread, when its last call ends, or here and now.
        """
        with self._lock:
            fresh.methods = [_method(fresh.channel, *each) for each in self._places]
            old, self.current = self.current, fresh
            self._draining.append(old)
            old.emptied = emptied
            empty = not old.running
        if empty:
            emptied()
        return old

    def remove(self, generation: Generation[C]) -> bool:
        """Forgets one that drains, before its channel is closed; False when that was done.

        Calls that still run there are lost, and can be told so: `cut`.
        """
        with self._lock:
            if generation not in self._draining:
                return False
            self._draining.remove(generation)
            generation.cut = generation.running > 0
            return True

    def make_room(self) -> list[Generation[C]]:
        """Removes the oldest that drain until one more may be made; close their channels."""
        removed: list[Generation[C]] = []
        while self._draining and not self.room:
            oldest = self._draining[0]
            if self.remove(oldest):
                removed.append(oldest)
        return removed


def _method(channel: object, shape: Shape, path: str) -> Any:
    return getattr(channel, shape)(path)
