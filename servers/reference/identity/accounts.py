"""Accounts: a name to sign in with, a password's hash, the groups that the account belongs to."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from reference.identity.tables import accounts

VIEWER: Final = "viewer"
"""The group of those who sign up by themselves."""
LOGIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{1,62}[a-z0-9])")


@dataclass(frozen=True)
class Account:
    """One account. `id` is what tokens call it (`sub`)."""

    id: str
    login: str = field(repr=False)
    password: str = field(repr=False)
    groups: frozenset[str]
    disabled: bool


def normal(login: str) -> str:
    """A name as it is kept: whatever case it is typed in, it is one name."""
    return login.strip().casefold()


def login_fault(login: str) -> str:
    """Why a name cannot be taken, in words for the person; "" when it can."""
    if LOGIN.fullmatch(login):
        return ""
    return "Use 3 to 64 characters: letters without accents, digits, and . _ @ + - inside."


def find(connection: Connection, login: str) -> Account | None:
    """The account of a name, disabled ones too; None for what can be no name."""
    if not LOGIN.fullmatch(login):
        return None
    row = connection.execute(select(accounts).where(accounts.c.login == login)).one_or_none()
    return None if row is None else _account(row)


def get(connection: Connection, account_id: str, *, alone: bool = False) -> Account | None:
    """An account by its ID, None when there is none or it is disabled.

    `alone` keeps other transactions from changing it until this one ends.
    """
    asked = select(accounts).where(accounts.c.id == account_id)
    row = connection.execute(asked.with_for_update() if alone else asked).one_or_none()
    return None if row is None or row.disabled else _account(row)


def add(
    connection: Connection, login: str, password: str, groups: frozenset[str], now: float
) -> Account | None:
    """A new account, None when the name is taken. `password` is a hash."""
    if find(connection, login) is not None:
        return None
    account_id = str(uuid.uuid4())
    connection.execute(
        accounts.insert().values(
            id=account_id,
            login=login,
            password=password,
            member_of=" ".join(sorted(groups)),
            disabled=False,
            created_at=now,
        )
    )
    return Account(account_id, login, password, groups, disabled=False)


def set_password(connection: Connection, account_id: str, old: str, new: str) -> bool:
    """Replaces the hash `old`, if it is the account's still; says whether it was."""
    done = connection.execute(
        accounts.update()
        .where(
            accounts.c.id == account_id,
            accounts.c.password == old,
            accounts.c.disabled.is_(False),
        )
        .values(password=new)
    )
    return done.rowcount > 0


def _account(row: Row[Any]) -> Account:
    groups = frozenset(str(row.member_of).split())
    return Account(row.id, row.login, row.password, groups, row.disabled)
