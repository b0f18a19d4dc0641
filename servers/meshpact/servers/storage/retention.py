"""Takes out of a database what nobody needs any more, a few rows a transaction.

Rules say what may go: events of an outbox, answers kept by request_id, rows of any table. Work that
writes waits for no more than one such transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, delete, select, tuple_

from meshpact.servers.background import Job
from meshpact.servers.context import ServiceContext
from meshpact.servers.storage.database import Database
from meshpact.servers.storage.dispatcher import Positions
from meshpact.servers.storage.outbox import Outbox

log = logging.getLogger(__name__)

AT_ONCE: Final = 500
"""Rows in one transaction, at most."""
BETWEEN: Final = 0.02
"""Seconds between two transactions, for those of others."""
JOB: Final = "retention"
"""The name of the job that prunes (`ServiceContext.job`)."""
AGAIN: Final = 5.0
"""Seconds until it is tried again after it failed; each further pause is twice as long."""

Rule = Callable[[Connection, float, int], int]
"""Takes away up to so many rows that may go at a time (seconds since the epoch), gives their
number: the whole number where there may be more."""
Old = Callable[[float], ColumnElement[bool]]
"""The condition that rows fulfil which may go at a time."""


class Retention:
    """The rules of one database. `prune` goes through them in the order in which they were added:
    what refers to other rows goes first.
    """

    def __init__(
        self,
        database: Database,
        *,
        at_once: int = AT_ONCE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._at_once = at_once
        self._clock = clock
        self._rules: list[tuple[str, Rule]] = []

    def rule(self, what: str, rule: Rule) -> None:
        """Adds a rule of one's own; `what` names it in the log."""
        self._rules.append((what, rule))

    def outbox(self, outbox: Outbox, *, keep: float, positions: Positions | None = None) -> None:
        """Events older than `keep` seconds go, as far as all dispatchers of `positions` came."""

        def take(connection: Connection, _now: float, most: int) -> int:
            needed = () if positions is None else positions.all(connection)
            return outbox.prune(connection, older_than=keep, needed=needed, limit=most)

        self.rule(outbox.channel, take)

    def answers(self, table: Table) -> None:
        """Answers kept by request_id (`idempotency_columns`) go when their time is over."""
        self.rows(table, lambda now: table.c.expires_at <= now)

    def rows(self, table: Table, old: Old) -> None:
        """Rows go that fulfil `old`; have an index for it."""
        key = list(table.primary_key.columns)

        def take(connection: Connection, now: float, most: int) -> int:
            condition = old(now)
            # Rows that somebody changes just now are not waited for; they go another time.
            first = select(*key).where(condition).limit(most)
            found = connection.execute(first.with_for_update(skip_locked=True)).all()
            if found:
                chosen = tuple_(*key).in_([tuple(row) for row in found])
                connection.execute(delete(table).where(chosen, condition))
            return len(found)

        self.rule(table.name, take)

    async def prune(self) -> dict[str, int]:
        """Takes away all that may go now; how many rows by rule. Other rules go on where one fails,
        then its error is raised."""
        gone: dict[str, int] = {}
        errors: list[Exception] = []
        for what, rule in self._rules:
            try:
                gone[what] = await self._pruned(rule)
            except Exception as error:
                errors.append(error)
        if any(gone.values()):
            told = ", ".join(f"{count} of {what}" for what, count in gone.items() if count)
            log.info("rows that were kept long enough are gone: %s", told)
        if errors:
            raise errors[0]
        return gone

    async def _pruned(self, rule: Rule) -> int:
        total, now = 0, self._clock()
        while True:
            taken = await self._database.write(
                lambda connection: rule(connection, now, self._at_once)
            )
            total += taken
            if taken < self._at_once:
                return total
            await asyncio.sleep(BETWEEN)

    def begin(self, context: ServiceContext) -> Job:
        """Prunes in the background, every `databases.prune_every` of mesh.yaml."""
        every = context.config.databases.prune_every
        return context.background(
            JOB, self.prune, every=every, pause=min(AGAIN, every), pause_at_most=every
        )


def retention_of(
    context: ServiceContext, database: Database, *, clock: Callable[[], float] = time.time
) -> Retention:
    """The rules of a service's database, as `databases` of mesh.yaml bounds them; add yours, then
    `begin`."""
    return Retention(database, at_once=context.config.databases.prune_at_once, clock=clock)
