"""Too many wrong passwords: longer and longer pauses, for an account and for where they come from.

What is counted is the name that was typed, so that an account that does not exist is locked like
one that does. A try is counted before its password is looked at: many at once gain nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, select

from reference.identity.secretnames import digest
from reference.identity.tables import attempts

FORGOTTEN: Final = 3600.0
"""Seconds after which failures are not counted any more."""
SOONEST: Final = 2.0
LONGEST: Final = 900.0
"""Seconds of the first and of the longest pause; each is twice the one before."""


@dataclass(frozen=True)
class Counter:
    """One thing whose failures are counted: `free` of them have no consequence."""

    key: str
    free: int


def of(login: str, source: str) -> tuple[Counter, Counter]:
    """The counters of a sign-in."""
    return Counter(digest(f"account {login}"), 5), Counter(digest(f"source {source}"), 20)


def begin(connection: Connection, counters: tuple[Counter, ...], now: float) -> bool:
    """Counts a try as failed, and says whether it may go on; one during a pause is not counted."""
    rows = {
        row.key: row
        for row in connection.execute(
            select(attempts)
            .where(attempts.c.key.in_([each.key for each in counters]))
            .order_by(attempts.c.key)
            .with_for_update()
        )
    }
    if any(row.locked_until > now for row in rows.values()):
        return False
    for each in counters:
        row = rows.get(each.key)
        known = row is not None and row.failed_at + FORGOTTEN > now
        failures = row.failures + 1 if row is not None and known else 1
        over = failures - each.free
        pause = min(SOONEST * 2 ** min(over, 20), LONGEST) if over >= 0 else 0.0
        values = {"failures": failures, "failed_at": now, "locked_until": now + pause}
        if row is None:
            connection.execute(attempts.insert().values(key=each.key, **values))
        else:
            connection.execute(attempts.update().where(attempts.c.key == each.key).values(**values))
    return True


def succeeded(connection: Connection, counters: tuple[Counter, Counter]) -> None:
    """The try was right: the account's failures are forgotten, the source's lose this one only."""
    account, source = counters
    connection.execute(delete(attempts).where(attempts.c.key == account.key))
    connection.execute(
        attempts.update()
        .where(attempts.c.key == source.key, attempts.c.failures > 0)
        .values(failures=attempts.c.failures - 1, locked_until=0.0)
    )


def forget(connection: Connection, now: float) -> None:
    """Removes what is not counted any more."""
    connection.execute(delete(attempts).where(attempts.c.failed_at < now - FORGOTTEN))
