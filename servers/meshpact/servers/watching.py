"""Watch streams for readers of any speed: who is slow gets fewer messages, never old values.

`Watches` tells readers in this process what was published; `coalesced` does the same for one
reader of a source of changes, such as a ChangeFeed, and holds that back instead of dropping.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

from meshpact.interceptors.errors import Code, StatusError

K = TypeVar("K")
V = TypeVar("V")

PENDING: Final = 10_000
"""Keys that wait for one reader, at most."""


class WatchOverrun(StatusError):
    """More keys changed than may wait for one reader: it must begin with a new snapshot.

    Let out of a handler it reaches the caller as ABORTED, reason WATCH_OVERRUN.
    """

    def __init__(self, pending: int) -> None:
        super().__init__(
            Code.ABORTED,
            f"More than {pending} changes wait for this watch; begin again with a new one.",
            reason="WATCH_OVERRUN",
        )


class Watch(Generic[K, V]):
    """One reader: what changed since it last looked, of each key the newest value."""

    def __init__(self, keys: Iterable[K] | None, pending: int) -> None:
        self._keys = None if keys is None else frozenset(keys)
        self._limit = pending
        self._changed: dict[K, V] = {}
        self._overrun = False
        self._event = asyncio.Event()

    def put(self, changes: Mapping[K, V]) -> None:
        """Notes what changed, as far as it is watched."""
        keys = self._keys
        seen = changes if keys is None else {k: v for k, v in changes.items() if k in keys}
        if not seen or self._overrun:
            return
        self._changed.update(seen)
        if len(self._changed) > self._limit:
            self._overrun = True
            self._changed.clear()
        self._event.set()

    async def next(self) -> dict[K, V]:
        """What changed, as soon as anything did. Raises WatchOverrun."""
        await self._event.wait()
        if self._overrun:
            raise WatchOverrun(self._limit)
        self._event.clear()
        changed, self._changed = self._changed, {}
        return changed


class Watches(Generic[K, V]):
    """Who watches which keys, in this process. `pending` keys wait for one reader at most."""

    def __init__(self, *, pending: int = PENDING) -> None:
        self._pending = pending
        self._watches: set[Watch[K, V]] = set()

    def __len__(self) -> int:
        return len(self._watches)

    def publish(self, changes: Mapping[K, V]) -> None:
        """Tells the readers new values; later ones take the place of those that wait."""
        if changes:
            for watch in self._watches:
                watch.put(changes)

    @contextmanager
    def watch(self, keys: Iterable[K] | None = None) -> Generator[Watch[K, V]]:
        """A reader of some keys, or of all. Read the values as they are now after this, not before:
        then no change is missed between the two.
        """
        watch = Watch[K, V](keys, self._pending)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)


def newest(_old: V, new: V) -> V:
    """Of two values that wait for the reader, the later one."""
    return new


async def coalesced(
    source: AsyncIterator[Mapping[K, V]],
    *,
    merge: Callable[[V, V], V] = newest,
    pending: int = PENDING,
) -> AsyncGenerator[dict[K, V]]:
    """The changes of `source` at the reader's speed: those that wait are merged by key.

    `merge(old, new)` makes one of two (deltas would be added up). The source is asked no further
    while `pending` keys wait. It ends when the source does, and fails as the source fails, after
    what came before. Close it (`contextlib.aclosing`) when you leave early.
    """
    waiting: dict[K, V] = {}
    news, room = asyncio.Event(), asyncio.Event()
    room.set()

    async def pump() -> None:
        async for changes in source:
            for key, value in changes.items():
                waiting[key] = merge(waiting[key], value) if key in waiting else value
            if waiting:
                news.set()
            if len(waiting) >= pending:
                room.clear()
                await room.wait()

    task = asyncio.create_task(pump())
    task.add_done_callback(lambda _: news.set())
    try:
        while True:
            await news.wait()
            news.clear()
            if waiting:
                found, waiting = waiting, {}
                room.set()
                yield found
            elif task.done():
                task.result()
                return
            if task.done():
                news.set()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
