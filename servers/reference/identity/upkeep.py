"""What the authorization server does by itself: it removes what is over, and rotates its keys.

No fault ends it. Each is logged and tried again soon, then less and less often; health tells when
keys grow too old, or cannot be read at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from meshpact.servers.storage.database import Database
from meshpact.servers.storage.errors import StorageUnavailable
from reference.identity import grants
from reference.identity.settings import Lifetimes
from reference.identity.signingkeys import KeyFileError, SigningKeys

log = logging.getLogger("acme.identity")

EVERY: Final = 300.0
"""Seconds between two rounds."""
SOON: Final = 5.0
"""Seconds until the next round after one that failed; each further pause is twice as long."""
OVERDUE: Final = 86400.0
"""Seconds for which a rotation may fail before health tells."""
HEALTH: Final = "acme.identity.keys"
"""The name under which health tells of the keys (grpc.health.v1). Tokens are signed meanwhile."""


class Upkeep:
    """Goes round from `start` to `close`. `health` is told what HEALTH is: good, or not."""

    def __init__(
        self,
        database: Database,
        keys: SigningKeys,
        lifetimes: Lifetimes,
        clock: Callable[[], float],
        *,
        health: Callable[[str, bool], object],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._keys = keys
        self._lifetimes = lifetimes
        self._clock = clock
        self._health = health
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins with a round."""
        self._task = asyncio.create_task(self._run(), name="upkeep of identity")

    async def close(self) -> None:
        """Ends it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        soon = SOON
        while True:
            done = [await self._tried("nothing was swept", self._swept)]
            done.append(await self._tried("keys were not looked after", self._rotated))
            self._health(HEALTH, self._young())
            await self._sleep(EVERY if all(done) else soon)
            soon = SOON if all(done) else min(soon * 2, EVERY)

    async def _tried(self, fault: str, work: Callable[[], Awaitable[object]]) -> bool:
        try:
            await work()
        except (StorageUnavailable, KeyFileError) as error:
            log.warning("%s, it is tried again: %s", fault, error)
        except Exception:
            log.exception("%s, it is tried again", fault)
        else:
            return True
        return False

    async def _swept(self) -> None:
        await self._database.write(lambda connection: grants.sweep(connection, self._clock()))

    async def _rotated(self) -> None:
        if self._keys.age() > self._lifetimes.key:
            # it may wait for another process, and for the disk
            log.info("a new key signs soon: %s", await asyncio.to_thread(self._keys.rotate))

    def _young(self) -> bool:
        try:
            return self._keys.age() <= self._lifetimes.key + OVERDUE
        except KeyFileError:
            return False
