"""Tells those who watch stock that it changed, within one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager


class Watch:
    """One watcher: what changed since it last looked, however often."""

    def __init__(self, skus: Iterable[str]) -> None:
        self.skus = frozenset(skus)
        self._changed: set[str] = set()
        self._event = asyncio.Event()

    def mark(self, skus: Iterable[str]) -> None:
        """Notes what changed, as far as it is watched."""
        seen = self.skus.intersection(skus)
        if seen:
            self._changed |= seen
            self._event.set()

    async def next(self, patience: float) -> set[str]:
        """What changed, as soon as anything did; after `patience` seconds, all that is watched."""
        try:
            async with asyncio.timeout(patience):
                await self._event.wait()
        except TimeoutError:
            return set(self.skus)
        self._event.clear()
        changed, self._changed = self._changed, set()
        return changed


class Changes:
    """Who watches which SKUs."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()

    def publish(self, skus: Iterable[str]) -> None:
        """Tells the watchers that these SKUs changed."""
        if self._watches:
            changed = frozenset(skus)
            for watch in self._watches:
                watch.mark(changed)

    @asynccontextmanager
    async def watch(self, skus: Iterable[str]) -> AsyncGenerator[Watch]:
        """A watcher, for as long as the context lasts."""
        watch = Watch(skus)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)
