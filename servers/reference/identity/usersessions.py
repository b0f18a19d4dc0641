"""Sessions: one for each browser in which somebody has signed in."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select

from reference.identity import accounts
from reference.identity.accounts import Account
from reference.identity.secretnames import digest, new
from reference.identity.tables import grants, sessions

MOST: Final = 20
"""Sessions of one account: with one more, the oldest ends."""
MOST_IN_ALL: Final = 100_000


class Full(Exception):
    """As many sessions are there as may be; some end with time."""


@dataclass(frozen=True)
class UserSession:
    """One session. Times are seconds since the epoch; `clients` got tokens through it."""

    id: str
    account_id: str = field(repr=False)
    user_agent: str = field(repr=False)
    source: str = field(repr=False)
    created_at: float
    used_at: float
    expires_at: float
    clients: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signed:
    """A session that is good, and whose it is."""

    session: UserSession
    account: Account


def begin(
    connection: Connection, account_id: str, user_agent: str, source: str, now: float, whole: float
) -> str:
    """Begins a session, for `whole` seconds at most; gives the secret for the browser's cookie.

    The account's oldest sessions make room for it. Raises Full when there are MOST_IN_ALL, and
    none is the account's.
    """
    _make_room(connection, account_id, now)
    secret = new()
    connection.execute(
        sessions.insert().values(
            id=str(uuid.uuid4()),
            secret=digest(secret),
            account_id=account_id,
            user_agent=user_agent[:200],
            source=source[:64],
            created_at=now,
            used_at=now,
            expires_at=now + whole,
        )
    )
    return secret


def of_cookie(connection: Connection, secret: str, now: float) -> Signed | None:
    """The session of a browser, None when there is none or it is over."""
    return _good(connection, sessions.c.secret == digest(secret), now) if secret else None


def by_id(connection: Connection, session_id: str, now: float) -> Signed | None:
    """A session by its name, None when there is none or it is over."""
    return _good(connection, sessions.c.id == session_id, now)


def _good(connection: Connection, which: Any, now: float) -> Signed | None:
    row = connection.execute(
        select(sessions).where(which, sessions.c.expires_at > now)
    ).one_or_none()
    account = None if row is None else accounts.get(connection, row.account_id)
    return None if row is None or account is None else Signed(_session(row), account)


def touch(connection: Connection, session_id: str, now: float) -> None:
    """Notes that a session was used."""
    connection.execute(sessions.update().where(sessions.c.id == session_id).values(used_at=now))


def page(
    connection: Connection, account_id: str, after: tuple[float, str] | None, size: int, now: float
) -> list[UserSession]:
    """An account's sessions, the latest first, from behind (created_at, id)."""
    asked = (
        select(sessions)
        .where(sessions.c.account_id == account_id, sessions.c.expires_at > now)
        .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
        .limit(size)
    )
    if after is not None:
        at, name = after
        asked = asked.where(
            (sessions.c.created_at < at) | ((sessions.c.created_at == at) & (sessions.c.id < name))
        )
    rows = connection.execute(asked).all()
    clients = _clients(connection, [row.id for row in rows])
    return [_session(row, clients.get(row.id, ())) for row in rows]


def end(connection: Connection, session_id: str, account_id: str) -> bool:
    """Ends a session of an account: its codes and refresh tokens go with it. Says if there was."""
    done = connection.execute(
        delete(sessions).where(sessions.c.id == session_id, sessions.c.account_id == account_id)
    )
    return done.rowcount > 0


def end_all(connection: Connection, account_id: str) -> None:
    """Ends all sessions of an account."""
    connection.execute(delete(sessions).where(sessions.c.account_id == account_id))


def _make_room(connection: Connection, account_id: str, now: float) -> None:
    own = select(sessions.c.id).where(sessions.c.account_id == account_id)
    most = MOST
    if _count(connection, sessions.c.expires_at > now) >= MOST_IN_ALL:
        most = min(MOST, _count(connection, sessions.c.account_id == account_id))
        if not most:
            raise Full
    newest = own.order_by(sessions.c.created_at.desc(), sessions.c.id.desc()).limit(most - 1)
    connection.execute(
        delete(sessions).where(
            sessions.c.account_id == account_id, sessions.c.id.not_in(newest.scalar_subquery())
        )
    )


def _count(connection: Connection, which: ColumnElement[bool]) -> int:
    return connection.execute(select(func.count()).where(which)).scalar() or 0


def _clients(connection: Connection, ids: Collection[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    asked = select(grants.c.session_id, grants.c.client_id).where(
        grants.c.session_id.in_(ids), grants.c.ended.is_(False)
    )
    for session_id, client_id in connection.execute(asked):
        found.setdefault(session_id, set()).add(client_id)
    return {session_id: tuple(sorted(clients)) for session_id, clients in found.items()}


def _session(row: Row[Any], clients: tuple[str, ...] = ()) -> UserSession:
    return UserSession(
        row.id,
        row.account_id,
        row.user_agent,
        row.source,
        row.created_at,
        row.used_at,
        row.expires_at,
        clients,
    )
