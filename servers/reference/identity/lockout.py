"""Too many wrong passwords: longer and longer pauses.

A browser that has signed in to the account before (`devices`) is counted by itself. All others
share the count of the account, and that of where they come from. A try is counted before its
password is looked at: many at once gain nothing. Nothing tells whether there is an account: one
that does not exist is counted, and locked, in one of a few counters that stand for nobody's.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, select

from reference.identity.secretnames import digest
from reference.identity.tables import attempts

FORGOTTEN: Final = 3600.0
"""Seconds after which failures are not counted any more."""
SOONEST: Final = 2.0
LONGEST: Final = 900.0
"""Seconds of the first and of the longest pause; each is twice the one before."""
MOST: Final = 50_000
"""Counters of addresses and devices that a sweep leaves; the oldest go first."""
_OF_ACCOUNTS: Final = "a"


@dataclass(frozen=True)
class Counter:
    """One thing whose failures are counted: `free` of them have no consequence."""

    key: str
    free: int


@dataclass(frozen=True)
class Try:
    """What a try is counted by: its own counter, and its source where that counts too."""

    own: Counter
    source: Counter | None


def of(account_id: str, login: str, address: str, device: str) -> Try:
    """A try to sign in; `account_id` and `device` are "" where there is none, or none is known."""
    if device:
        return Try(_counter("d", device, 5), None)
    source = _counter("s", _network(address), 20)
    if account_id:
        return Try(_counter(_OF_ACCOUNTS, account_id, 5), source)
    return Try(Counter(f"n {digest(login)[:2]}", 5), source)


def of_session(session_id: str) -> Try:
    """A try of somebody who is signed in."""
    return Try(_counter("d", f"session {session_id}", 5), None)


def sign_ups(address: str) -> Try:
    """A new account: ten from one source have no consequence."""
    return Try(_counter("u", _network(address), 10), None)


def begin(connection: Connection, attempt: Try, now: float) -> bool:
    """Counts a try as failed, and says whether it may go on; none counts where a pause is."""
    source, own = attempt.source, attempt.own
    return (source is None or _count(connection, source, now)) and _count(connection, own, now)


def succeeded(connection: Connection, attempt: Try) -> None:
    """The try was right: its own failures are forgotten, the source's lose this one only."""
    connection.execute(delete(attempts).where(attempts.c.key == attempt.own.key))
    if attempt.source is not None:
        connection.execute(
            attempts.update()
            .where(attempts.c.key == attempt.source.key, attempts.c.failures > 0)
            .values(failures=attempts.c.failures - 1, locked_until=0.0)
        )


def forget(connection: Connection, now: float, most: int = MOST) -> int:
    """Removes what is not counted any more, and what is too much; `most` at once. Their number."""
    key = attempts.c.key
    old = select(key).where(attempts.c.failed_at < now - FORGOTTEN).limit(most)
    gone = connection.execute(delete(attempts).where(key.in_(old.scalar_subquery()))).rowcount
    others = ~key.startswith(f"{_OF_ACCOUNTS} ")
    count = connection.execute(select(func.count()).where(others)).scalar() or 0
    surplus = min(count - MOST, most - gone)
    if surplus > 0:
        oldest = select(key).where(others).order_by(attempts.c.failed_at).limit(surplus)
        connection.execute(delete(attempts).where(key.in_(oldest.scalar_subquery())))
    return gone + max(surplus, 0)


def _count(connection: Connection, counter: Counter, now: float) -> bool:
    """Counts one failure, and says whether there was no pause. The same work in either case."""
    row = connection.execute(
        select(attempts).where(attempts.c.key == counter.key).with_for_update()
    ).one_or_none()
    if row is None:
        connection.execute(attempts.insert().values(key=counter.key, **_after(1, counter, now)))
        return True
    free = bool(row.locked_until <= now)
    known = row.failed_at + FORGOTTEN > now
    values = _after(row.failures + 1 if known else 1, counter, now)
    if not free:
        values = {"failures": row.failures, "failed_at": row.failed_at}
    connection.execute(attempts.update().where(attempts.c.key == counter.key).values(**values))
    return free


def _after(failures: int, counter: Counter, now: float) -> dict[str, float]:
    over = failures - counter.free
    pause = min(SOONEST * 2 ** min(over, 20), LONGEST) if over >= 0 else 0.0
    return {"failures": failures, "failed_at": now, "locked_until": now + pause}


def _counter(kind: str, name: str, free: int) -> Counter:
    return Counter(f"{kind} {digest(name)[:62]}", free)


def _network(address: str) -> str:
    """What one sender can hardly change: an IPv4 address, of IPv6 the first 64 bits."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))
