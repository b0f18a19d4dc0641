"""Which profiles have surely watched nothing: for them no history need be read.

What this process keeps it knows at once, what another one kept on the same database after SEEN
seconds; whenever it cannot be sure, it is not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import Final

from sqlalchemy import Connection, select

from meshpact.servers.storage.database import Database
from reference.streaming.recommendations.tables import events, plays

log = logging.getLogger(__name__)

SEEN: Final = 5.0
MOST: Final = 100_000
"""Profiles with a history that are remembered; where there are more, all histories are read."""


class Newcomers:
    """Tells who is new; nobody surely is before the first `look`. Made inside the event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._clock = asyncio.get_running_loop().time
        self._watched: set[str] = set()
        self._until = 0.0
        self._since: int | None = None

    def is_new(self, profile_id: str) -> bool:
        """Whether the profile has surely watched nothing."""
        return profile_id not in self._watched and self._clock() < self._until

    def watches(self, profile_id: str) -> None:
        """The profile is new no more: to be told before its first event is kept."""
        self._watched.add(profile_id)

    async def look(self) -> None:
        """Looks once; it counts for twice SEEN. StorageUnavailable."""
        if len(self._watched) >= MOST:
            return
        began, now = self._clock(), time.time_ns() // 1000
        self._watched.update(await self._database.read(partial(_watched, since=self._since)))
        # Twice: a transaction may take that long from its clock to its commit.
        self._since = now - int(2e6 * SEEN)
        self._until = began + 2 * SEEN
        if len(self._watched) >= MOST:
            self._until = 0.0
            log.info("more than %d profiles have a history: all histories are read", MOST)


def _watched(connection: Connection, since: int | None) -> list[str]:
    """The profiles with a history, or those of which an event was kept since a time."""
    if since is None:
        statement = select(plays.c.profile_id).distinct().limit(MOST)
    else:
        statement = select(events.c.profile_id).where(events.c.kept_at >= since).distinct()
    return list(connection.execute(statement).scalars())
