"""Signing in and up by a password, whatever page asks for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from sqlalchemy import Connection

from meshpact.servers.storage.database import Database
from reference.identity import accounts, lockout, profiles, usersessions
from reference.identity.accounts import VIEWER, Account
from reference.identity.lockout import Counter
from reference.identity.passwords import Passwords
from reference.identity.secretnames import digest
from reference.identity.settings import Lifetimes

SIGN_UPS = 10
"""New accounts from one source, before the next one has to wait."""


@dataclass(frozen=True)
class Visit:
    """A browser: what it calls itself, and its address."""

    user_agent: str = field(repr=False)
    source: str = field(repr=False)


class Taken(Enum):
    """Why an account was not made."""

    NAME = "name"
    TOO_MANY = "too many"


class SignIn:
    """Looks at passwords, begins sessions. Raises `passwords.Busy` when too many come at once."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        lifetimes: Lifetimes,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._lifetimes = lifetimes
        self._clock = clock

    async def sign_in(self, login: str, password: str, visit: Visit) -> str:
        """The secret of a new session, "" when the name or the password is wrong, or locked.

        All three cost the same work and are told in the same words.
        """
        account, counters = await self._begin(login, visit)
        known = "" if account is None else account.password
        right, stronger = await self._passwords.verify(known, password)
        if account is None or not right:
            return ""

        def begin(connection: Connection) -> str:
            now = accounts.get(connection, account.id)
            if now is None or now.password != known:
                return ""  # changed or disabled while the hash was computed
            lockout.succeeded(connection, counters)
            if stronger:
                accounts.set_password(connection, account.id, known, stronger)
            return self._session(connection, account.id, visit)

        return await self._database.write(begin)

    async def sign_up(self, login: str, password: str, visit: Visit) -> str | Taken:
        """The secret of the first session of a new viewer's account.

        The name and the password have been found good before.
        """
        now = self._clock()
        counter = Counter(digest(f"sign-ups {visit.source}"), SIGN_UPS)
        if not await self._database.write(lambda c: lockout.begin(c, (counter,), now)):
            return Taken.TOO_MANY
        hashed = await self._passwords.hash(password)

        def add(connection: Connection) -> str | Taken:
            made = accounts.add(connection, login, hashed, frozenset({VIEWER}), now)
            if made is None:
                return Taken.NAME
            profiles.add_first(connection, made, str(uuid.uuid4()), now)
            return self._session(connection, made, visit)

        return await self._database.write(add)

    async def change_password(
        self, account: Account, session_id: str, old: str, new: str, visit: Visit
    ) -> bool:
        """Takes a new password, and ends the account's other sessions. False: `old` is wrong."""
        found, counters = await self._begin(account.login, visit)
        known = "" if found is None else found.password
        right, _ = await self._passwords.verify(known, old)
        if not right:
            return False
        hashed = await self._passwords.hash(new)

        def change(connection: Connection) -> None:
            lockout.succeeded(connection, counters)
            accounts.set_password(connection, account.id, known, hashed)
            usersessions.end_others(connection, account.id, session_id)

        await self._database.write(change)
        return True

    async def _begin(
        self, login: str, visit: Visit
    ) -> tuple[Account | None, tuple[Counter, Counter]]:
        """The account, if the try may go on and there is one."""
        counters = lockout.of(login, visit.source)

        def begin(connection: Connection) -> Account | None:
            may = lockout.begin(connection, counters, self._clock())
            account = accounts.find(connection, login)
            return None if account is None or account.disabled or not may else account

        return await self._database.write(begin), counters

    def _session(self, connection: Connection, account_id: str, visit: Visit) -> str:
        return usersessions.begin(
            connection,
            account_id,
            visit.user_agent,
            visit.source,
            self._clock(),
            self._lifetimes.session,
        )
