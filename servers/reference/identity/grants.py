"""What clients were granted: codes, and families of refresh tokens.

A grant is one use of a code. Whoever uses a code or a refresh token a second time ends the whole
grant: one of the two who have it has stolen it (RFC 9700, 4.5.2 and 4.14.2).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select

from reference.identity.secretnames import digest, new
from reference.identity.tables import assertions, codes, grants, refresh_tokens

MOST_CODES: Final = 8
MOST_GRANTS: Final = 8
"""Codes and grants of one session: with one more, the oldest goes."""
MOST_TOKENS: Final = 500
"""Refresh tokens of one grant, used ones too; with one more, the grant ends."""


@dataclass(frozen=True)
class Code:
    """A code that was used just now, by the client that it is for."""

    session_id: str = field(repr=False)
    redirect_uri: str
    code_challenge: str
    scope: str
    resource: str
    nonce: str = field(repr=False)
    grant_id: str
    code_challenge_method: str = "S256"

    def get_redirect_uri(self) -> str:
        """Where it was sent (authlib)."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """What it is for (authlib)."""
        return self.scope


@dataclass(frozen=True)
class Grant:
    """What a client was granted, and through which session."""

    id: str
    session_id: str = field(repr=False)
    client_id: str
    scope: str
    resource: str

    def check_client(self, client: Any) -> bool:
        """Whether it is this client's (authlib)."""
        return bool(client.get_client_id() == self.client_id)

    def get_scope(self) -> str:
        """What it is for (authlib)."""
        return self.scope


def add_code(connection: Connection, code: str, until: float, **values: str) -> None:
    """Keeps a code until it is used, or its time is over; the session's oldest makes room."""
    newest = (
        select(codes.c.hash)
        .where(codes.c.session_id == values["session_id"])
        .order_by(codes.c.expires_at.desc(), codes.c.hash)
        .limit(MOST_CODES - 1)
    )
    connection.execute(
        delete(codes).where(
            codes.c.session_id == values["session_id"],
            codes.c.hash.not_in(newest.scalar_subquery()),
        )
    )
    connection.execute(
        codes.insert().values(hash=digest(code), expires_at=until, grant_id="", **values)
    )


def use_code(connection: Connection, code: str, client_id: str, now: float) -> Code | None:
    """Uses a code up, whatever comes of it; None when it is worth nothing to this client."""
    row = connection.execute(
        select(codes).where(codes.c.hash == digest(code)).with_for_update()
    ).one_or_none()
    if row is None or row.client_id != client_id:
        return None
    if row.grant_id:
        end(connection, row.grant_id)
        return None
    grant_id = str(uuid.uuid4())
    connection.execute(codes.update().where(codes.c.hash == row.hash).values(grant_id=grant_id))
    if row.expires_at <= now:
        return None
    return Code(
        row.session_id,
        row.redirect_uri,
        row.challenge,
        row.scope,
        row.resource,
        row.nonce,
        grant_id,
    )


def begin(connection: Connection, code: Code, client_id: str, now: float) -> str:
    """Makes the grant of a code; gives its first refresh token. The oldest grant makes room."""
    newest = (
        select(grants.c.id)
        .where(grants.c.session_id == code.session_id)
        .order_by(grants.c.ended, grants.c.created_at.desc(), grants.c.id)
        .limit(MOST_GRANTS - 1)
    )
    connection.execute(
        delete(grants).where(
            grants.c.session_id == code.session_id, grants.c.id.not_in(newest.scalar_subquery())
        )
    )
    connection.execute(
        grants.insert().values(
            id=code.grant_id,
            session_id=code.session_id,
            client_id=client_id,
            scope=code.scope,
            resource=code.resource,
            ended=False,
            created_at=now,
        )
    )
    return _refresh_token(connection, code.grant_id)


def use_refresh_token(connection: Connection, token: str, client_id: str) -> Grant | None:
    """Uses a refresh token up; None when it is worth nothing to this client."""
    row = connection.execute(
        select(refresh_tokens.c.hash, refresh_tokens.c.used, grants)
        .join(grants, grants.c.id == refresh_tokens.c.grant_id)
        .where(refresh_tokens.c.hash == digest(token))
        .with_for_update()
    ).one_or_none()
    if row is None or row.client_id != client_id:
        return None
    if row.used:
        end(connection, row.id)
        return None
    connection.execute(
        refresh_tokens.update().where(refresh_tokens.c.hash == row.hash).values(used=True)
    )
    known = select(func.count()).where(refresh_tokens.c.grant_id == row.id)
    if (connection.execute(known).scalar() or 0) >= MOST_TOKENS:
        end(connection, row.id)
        return None
    return None if row.ended else _grant(row)


def go_on(connection: Connection, grant: Grant) -> str:
    """The next refresh token of a grant."""
    return _refresh_token(connection, grant.id)


def get(connection: Connection, grant_id: str) -> Grant | None:
    """A grant that has not ended."""
    row = connection.execute(
        select(grants).where(grants.c.id == grant_id, grants.c.ended.is_(False))
    ).one_or_none()
    return None if row is None else _grant(row)


def of_refresh_token(connection: Connection, token: str) -> Grant | None:
    """The grant of a refresh token, used or not."""
    row = connection.execute(
        select(grants)
        .join(refresh_tokens, grants.c.id == refresh_tokens.c.grant_id)
        .where(refresh_tokens.c.hash == digest(token))
    ).one_or_none()
    return None if row is None else _grant(row)


def end(connection: Connection, grant_id: str) -> None:
    """Ends a grant: its refresh tokens are worth nothing, introspection knows of no token of it."""
    connection.execute(grants.update().where(grants.c.id == grant_id).values(ended=True))


def first_seen(connection: Connection, assertion: str, until: float) -> bool:
    """Whether a client's assertion was not used before; it counts as used until then."""
    key = digest(assertion)
    known = connection.execute(select(assertions.c.hash).where(assertions.c.hash == key))
    if known.one_or_none() is not None:
        return False
    connection.execute(assertions.insert().values(hash=key, expires_at=until))
    return True


def _refresh_token(connection: Connection, grant_id: str) -> str:
    token = new()
    connection.execute(
        refresh_tokens.insert().values(hash=digest(token), grant_id=grant_id, used=False)
    )
    return token


def _grant(row: Row[Any]) -> Grant:
    return Grant(row.id, row.session_id, row.client_id, row.scope, row.resource)
