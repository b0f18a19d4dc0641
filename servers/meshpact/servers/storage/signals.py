"""Tells those who wait that a transaction was committed that concerns them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Connection

_SAID: Final = "meshpact.said"


class Signal:
    """Remembers that something was said since `wait` last returned, however often."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wakes who waits, or the next one who does."""
        self._event.set()

    async def wait(self) -> None:
        """Returns once something was said."""
        await self._event.wait()
        self._event.clear()


class Signals:
    """Who listens to which channel, in this process and its event loop."""

    def __init__(self) -> None:
        self._listening: defaultdict[str, set[Signal]] = defaultdict(set)

    @contextmanager
    def listen(self, channel: str) -> Generator[Signal]:
        """A signal of what is said on a channel, for as long as the context lasts."""
        signal = Signal()
        self._listening[channel].add(signal)
        try:
            yield signal
        finally:
            self._listening[channel].discard(signal)
            if not self._listening[channel]:
                del self._listening[channel]

    def say(self, channels: Iterable[str]) -> None:
        """Wakes those who listen to any of these channels."""
        for channel in channels:
            for signal in self._listening.get(channel, ()):
                signal.set()

    def say_all(self) -> None:
        """Wakes all: something may have been missed."""
        self.say(list(self._listening))


def note(connection: Connection, channel: str) -> None:
    """Notes on a connection what is to be said when its transaction is committed."""
    connection.info.setdefault(_SAID, set()).add(channel)


def noted(connection: Connection) -> frozenset[str]:
    """What was noted on a connection since it was last asked."""
    return frozenset(connection.info.pop(_SAID, ()))
