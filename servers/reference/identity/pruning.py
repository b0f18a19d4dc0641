"""What the authorization server forgets: whatever nobody can use any more."""

from __future__ import annotations

from sqlalchemy import Select, or_, select

from meshpact.servers.storage.retention import Retention
from reference.identity import lockout
from reference.identity.tables import (
    assertions,
    codes,
    grants,
    refresh_tokens,
    requests,
    sessions,
)


def add_rules(retention: Retention) -> None:
    """Adds the rules. Tokens and grants go before the session that they hang on, so that it takes
    few others along."""
    retention.rows(refresh_tokens, lambda now: refresh_tokens.c.grant_id.in_(_over(now)))
    retention.rows(grants, lambda now: grants.c.id.in_(_over(now)))
    # A used code of a grant that lives tells of a theft when it comes again.
    alive = (
        select(grants.c.id)
        .where(grants.c.id == codes.c.grant_id, grants.c.ended.is_(False))
        .exists()
    )
    retention.rows(codes, lambda now: (codes.c.expires_at < now) & ~alive)
    retention.rows(sessions, lambda now: sessions.c.expires_at < now)
    retention.rows(assertions, lambda now: assertions.c.expires_at < now)
    retention.answers(requests)
    retention.rule("attempts", lockout.forget)


def _over(now: float) -> Select[tuple[str]]:
    """The grants that have ended, or whose session has."""
    ended = select(sessions.c.id).where(
        sessions.c.id == grants.c.session_id, sessions.c.expires_at < now
    )
    return select(grants.c.id).where(or_(grants.c.ended.is_(True), ended.exists()))
