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
from reference.identity.devices import Devices
from reference.identity.lockout import Try
from reference.identity.passwords import Passwords
from reference.identity.settings import Lifetimes


@dataclass(frozen=True)
class Visit:
    """A browser: what it calls itself, its address, its cookie of devices."""

    user_agent: str = field(repr=False)
    source: str = field(repr=False)
    devices: str = field(repr=False)


@dataclass(frozen=True)
class Entered:
    """Somebody is signed in: the secrets for two cookies, the session's and that of devices."""

    session: str = field(repr=False)
    devices: str = field(repr=False)


class Refused(Enum):
    """Why somebody is not signed in, or has no new password."""

    WRONG = "wrong"
    """The name or the password; or there were too many tries."""
    NAME_TAKEN = "name taken"
    TOO_MANY_ACCOUNTS = "too many accounts"
    MEANWHILE = "meanwhile"
    """The password was changed by another, or the session has ended."""


class SignIn:
    """Looks at passwords, begins sessions.

    Raises `passwords.Busy` when too many come at once, and `usersessions.Full`.
    """

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        devices: Devices,
        lifetimes: Lifetimes,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._devices = devices
        self._lifetimes = lifetimes
        self._clock = clock

    async def sign_in(self, login: str, password: str, visit: Visit) -> Entered | Refused:
        """Begins a session; WRONG when the name or the password is, or the try came too soon.

        All three cost the same work and are told in the same words.
        """
        with self._passwords.turn():
            account, attempt = await self._database.write(lambda c: self._begin(c, login, visit))
            known = "" if account is None else account.password
            right, stronger = await self._passwords.verify(known, password)
            if account is None or not right:
                return Refused.WRONG

        def begin(connection: Connection) -> Entered | Refused:
            now = accounts.get(connection, account.id, alone=True)
            if now is None or now.password != known:
                return Refused.WRONG  # changed or disabled while the hash was computed
            lockout.succeeded(connection, attempt)
            if stronger:
                accounts.set_password(connection, account.id, known, stronger)
            return self._entered(connection, account, visit, stronger or known)

        return await self._database.write(begin)

    async def sign_up(self, login: str, password: str, visit: Visit) -> Entered | Refused:
        """Makes a viewer's account and begins its first session; NAME_TAKEN, TOO_MANY_ACCOUNTS.

        The name and the password have been found good before.
        """
        now, attempt = self._clock(), lockout.sign_ups(visit.source)
        with self._passwords.turn():
            if not await self._database.write(lambda c: lockout.begin(c, attempt, now)):
                return Refused.TOO_MANY_ACCOUNTS
            hashed = await self._passwords.hash(password)

        def add(connection: Connection) -> Entered | Refused:
            made = accounts.add(connection, login, hashed, frozenset({VIEWER}), now)
            if made is None:
                return Refused.NAME_TAKEN
            profiles.add_first(connection, made.id, str(uuid.uuid4()), now)
            return self._entered(connection, made, visit, hashed)

        return await self._database.write(add)

    async def change_password(
        self, account: Account, session_id: str, old: str, new: str, visit: Visit
    ) -> Entered | Refused:
        """Takes a new password, ends all sessions of the account, and begins a new one here.

        WRONG when `old` is not the password, MEANWHILE when somebody was faster; then nothing has
        changed.
        """
        attempt = lockout.of_session(session_id)

        def begin(connection: Connection) -> str:
            may = lockout.begin(connection, attempt, self._clock())
            found = accounts.get(connection, account.id)
            return found.password if found is not None and may else ""

        with self._passwords.turn():
            known = await self._database.write(begin)
            right, _ = await self._passwords.verify(known, old)
            if not right:
                return Refused.WRONG
            hashed = await self._passwords.hash(new)

        def change(connection: Connection) -> Entered | Refused:
            if usersessions.by_id(connection, session_id, self._clock()) is None:
                return Refused.MEANWHILE
            if not accounts.set_password(connection, account.id, known, hashed):
                return Refused.MEANWHILE
            lockout.succeeded(connection, attempt)
            usersessions.end_all(connection, account.id)
            return self._entered(connection, account, visit, hashed)

        return await self._database.write(change)

    def _begin(
        self, connection: Connection, login: str, visit: Visit
    ) -> tuple[Account | None, Try]:
        """The account, if the try may go on and there is one; and what the try is counted by."""
        account = accounts.find(connection, login)
        hashed = "" if account is None else account.password
        device = self._devices.find(visit.devices, login, hashed)
        name = "" if account is None else account.id
        attempt = lockout.of(name, login, visit.source, device)
        may = lockout.begin(connection, attempt, self._clock())
        return None if account is None or account.disabled or not may else account, attempt

    def _entered(
        self, connection: Connection, account: Account, visit: Visit, hashed: str
    ) -> Entered:
        """A new session, in a browser that is known from here on; `hashed` is the password's."""
        session = usersessions.begin(
            connection,
            account.id,
            visit.user_agent,
            visit.source,
            self._clock(),
            self._lifetimes.session,
        )
        devices = self._devices.remember(visit.devices, account.login, account.password, hashed)
        return Entered(session, devices)
