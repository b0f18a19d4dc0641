"""Profiles: the people who watch by one account, and what each may see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, select

from reference.identity.tables import accounts, profiles

MOST: Final = 20
"""Profiles of one account."""
ADULTS: Final = 4
"""MATURITY_LIMIT_ADULTS."""
FIRST: Final = "Main"


class NameTaken(Exception):
    """Another profile of the account has this name."""


class TooMany(Exception):
    """The account has as many profiles as it may have."""


class LastOne(Exception):
    """It is the account's only profile."""


@dataclass(frozen=True)
class Profile:
    """One profile; `position` counts up within the account."""

    id: str
    position: int
    name: str = field(repr=False)
    maturity: int = field(repr=False)
    created_at: float


def find(connection: Connection, account_id: str, profile_id: str) -> Profile | None:
    """An account's profile; of another account's there is none."""
    row = connection.execute(
        select(profiles).where(profiles.c.account_id == account_id, profiles.c.id == profile_id)
    ).one_or_none()
    return None if row is None else _profile(row)


def limits(
    connection: Connection, wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """What those of (account, profile) that there are may see; of another account's profile there
    is none."""
    rows = connection.execute(_LIMITS, {"names": list({name for _, name in wanted})})
    found = {(account, name): maturity for account, name, maturity in rows}
    return {each: found[each] for each in wanted if each in found}


_LIMITS: Final = select(profiles.c.account_id, profiles.c.id, profiles.c.maturity).where(
    profiles.c.id.in_(bindparam("names", expanding=True))
)
"""Made once: to make it took as long as to ask."""


def page(connection: Connection, account_id: str, after: int, size: int) -> list[Profile]:
    """An account's profiles, the oldest first, from behind the position `after`."""
    rows = connection.execute(
        select(profiles)
        .where(profiles.c.account_id == account_id, profiles.c.position > after)
        .order_by(profiles.c.position)
        .limit(size)
    )
    return [_profile(row) for row in rows]


def add(
    connection: Connection, account_id: str, profile_id: str, name: str, maturity: int, now: float
) -> Profile:
    """Adds a profile: NameTaken, TooMany."""
    count, last = _lock(connection, account_id)
    if count >= MOST:
        raise TooMany
    _free(connection, account_id, profile_id, name)
    made = Profile(profile_id, last + 1, name, maturity, now)
    connection.execute(
        profiles.insert().values(
            id=made.id,
            account_id=account_id,
            position=made.position,
            name=name,
            name_key=_key(name),
            maturity=maturity,
            created_at=now,
        )
    )
    return made


def add_first(connection: Connection, account_id: str, profile_id: str, now: float) -> None:
    """The profile that a new account begins with."""
    add(connection, account_id, profile_id, FIRST, ADULTS, now)


def change(
    connection: Connection, account_id: str, profile_id: str, name: str | None, maturity: int | None
) -> Profile | None:
    """Changes what is given; None when the account has no such profile. NameTaken."""
    _lock(connection, account_id)
    if find(connection, account_id, profile_id) is None:
        return None
    values: dict[str, object] = {}
    if name is not None:
        _free(connection, account_id, profile_id, name)
        values |= {"name": name, "name_key": _key(name)}
    if maturity is not None:
        values["maturity"] = maturity
    if values:
        connection.execute(profiles.update().where(profiles.c.id == profile_id).values(**values))
    return find(connection, account_id, profile_id)


def remove(connection: Connection, account_id: str, profile_id: str) -> bool:
    """Removes a profile; False when the account has no such one. LastOne."""
    count, _ = _lock(connection, account_id)
    if find(connection, account_id, profile_id) is None:
        return False
    if count == 1:
        raise LastOne
    connection.execute(delete(profiles).where(profiles.c.id == profile_id))
    return True


def _lock(connection: Connection, account_id: str) -> tuple[int, int]:
    """Lets one transaction at a time change an account's profiles: (how many, last position)."""
    connection.execute(select(accounts.c.id).where(accounts.c.id == account_id).with_for_update())
    row = connection.execute(
        select(func.count(), func.coalesce(func.max(profiles.c.position), 0)).where(
            profiles.c.account_id == account_id
        )
    ).one()
    return row[0], row[1]


def _free(connection: Connection, account_id: str, profile_id: str, name: str) -> None:
    other = connection.execute(
        select(profiles.c.id).where(
            profiles.c.account_id == account_id,
            profiles.c.name_key == _key(name),
            profiles.c.id != profile_id,
        )
    )
    if other.first() is not None:
        raise NameTaken


def _key(name: str) -> str:
    return name.casefold()


def _profile(row: Row[Any]) -> Profile:
    return Profile(row.id, row.position, row.name, row.maturity, row.created_at)
