"""Delivers the events of an outbox to somewhere else, at least once, in order, with backoff.

How far it came stands in a table, written after each delivery: what was delivered and not written
down when the process ended is delivered again. The receiver tells repetitions by the revision.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    insert,
    select,
    update,
)

from meshpact.servers.storage.feed import ChangeFeed
from meshpact.servers.storage.outbox import Entry, RevisionGone

log = logging.getLogger(__name__)

PAUSE: Final = 0.2
"""Seconds before a failed delivery is tried again; each further pause is twice as long."""
PAUSE_AT_MOST: Final = 30.0

Deliver = Callable[[Sequence[Entry]], Awaitable[None]]


def position_columns() -> list[Column[Any]]:
    """The columns of the table of positions, for the model and the migration."""
    return [
        Column("name", String(100), primary_key=True),
        Column("revision", BigInteger, nullable=False),
    ]


class Positions:
    """How far each dispatcher of a database came."""

    def __init__(self, metadata: MetaData, name: str = "positions") -> None:
        found = metadata.tables.get(name)
        self._table = Table(name, metadata, *position_columns()) if found is None else found

    def of(self, connection: Connection, name: str) -> int:
        """The last revision that was delivered; 0 before any."""
        wanted = select(self._table.c.revision).where(self._table.c.name == name)
        return int(connection.execute(wanted).scalar() or 0)

    def all(self, connection: Connection) -> list[int]:
        """The revisions after which events are still needed (`Outbox.prune`)."""
        return [int(each) for each in connection.execute(select(self._table.c.revision)).scalars()]

    def begin(self, connection: Connection, name: str) -> int:
        """As `of`; what this dispatcher has not delivered is needed from now on."""
        self.reach(connection, name, 0)
        return self.of(connection, name)

    def reach(self, connection: Connection, name: str, revision: int) -> None:
        """Writes down how far a dispatcher came; never back."""
        mine = self._table.c.name == name
        known = connection.execute(select(self._table.c.revision).where(mine)).scalar()
        if known is None:
            connection.execute(insert(self._table), {"name": name, "revision": revision})
        elif known < revision:
            connection.execute(update(self._table).where(mine).values(revision=revision))


class Dispatcher:
    """Hands the events of a feed to `deliver`, batch by batch. What `deliver` raises is logged, and
    the batch comes again after a pause: nothing is left out, nothing overtakes.
    """

    def __init__(
        self,
        feed: ChangeFeed,
        positions: Positions,
        name: str,
        deliver: Deliver,
        *,
        pause: float = PAUSE,
        pause_at_most: float = PAUSE_AT_MOST,
    ) -> None:
        self._feed = feed
        self._database = feed.outbox.database
        self._positions = positions
        self._name = name
        self._deliver = deliver
        self._pause = pause
        self._pause_at_most = pause_at_most

    async def run(self) -> None:
        """Delivers until it is cancelled. Raises RevisionGone when events it needs were pruned."""
        pause = self._pause
        while True:
            try:
                after = await self._database.write(
                    lambda connection: self._positions.begin(connection, self._name)
                )
                async with contextlib.aclosing(self._feed.follow(after)) as batches:
                    async for batch in batches:
                        await self._deliver(batch)
                        await self._reached(batch[-1].revision)
                        pause = self._pause
            except RevisionGone:
                raise
            except Exception as error:
                log.warning("%s: not delivered yet, again in %.1f s: %s", self._name, pause, error)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            pause = min(pause * 2, self._pause_at_most)

    async def _reached(self, revision: int) -> None:
        await self._database.write(
            lambda connection: self._positions.reach(connection, self._name, revision)
        )
